#include "worker/loop/device_replica.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/support/late_device.h"
#include "worker/loop/host_replica.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {
namespace {

constexpr int64_t kCount = 40;

// "sgd", "momentum", ... with decay, and clipped where `clips`.
RunSpec Spec(const std::string& optimizer, bool clips) {
  RunSpec spec;
  spec.mutable_training()->set_workers(2);
  spec.mutable_training()->set_accumulate(1);
  spec.mutable_training()->set_batch_per_worker(4);
  OptimizerSpec& rule = *spec.mutable_optimizer();
  rule.set_name(optimizer);
  rule.set_learning_rate(0.3f);
  rule.set_weight_decay(0.01f);
  rule.set_momentum(0.9f);
  rule.set_beta1(0.9f);
  rule.set_beta2(0.99f);
  rule.set_epsilon(1e-8f);
  if (clips) rule.set_clip_norm(0.5f);
  return spec;
}

std::vector<float> Bits(absl::Span<const float> values) { return {values.begin(), values.end()}; }

bool SameBits(absl::Span<const float> a, absl::Span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Replicas of the same weights on a late device and on the host, with running statistics among
// them, in four buckets.
class DeviceReplicaTest : public testing::Test {
 protected:
  DeviceReplicaTest() {
    LateDeviceOptions options;
    options.upload_started = [this](int64_t bytes) { uploads_.push_back(bytes); };
    device_ = std::make_unique<LateDevice>(options);
    for (float& weight : initial_) weight = random_.Uniform();
  }

  void Make(const RunSpec& spec) {
    on_device_.reset();
    auto device = DeviceReplica::Create(*device_, spec, layout_, 0, initial_, times_);
    ASSERT_TRUE(device.ok()) << device.status();
    on_device_ = *std::move(device);
    auto host = HostReplica::Create(spec, layout_, 0, initial_, times_);
    ASSERT_TRUE(host.ok()) << host.status();
    on_host_ = *std::move(host);
    uploads_.clear();
  }

  // Both apply the same gradient of `step`.
  void Step(int64_t step) {
    for (float& value : gradient_) value = 2 * random_.Uniform() - 1;
    std::vector<BucketGradient> average;
    for (const Bucket& bucket : layout_.buckets()) {
      average.push_back(
          BucketGradient::OnHost(absl::MakeSpan(gradient_).subspan(bucket.begin, bucket.count)));
    }
    ASSERT_TRUE(on_device_->Apply(step, average).ok());
    ASSERT_TRUE(on_host_->Apply(step, average).ok());
  }

  const ParamLayout layout_{{{"first", {12}}, {"mean", {6}, true}, {"last", {22}}}, 12};
  Random random_{7};
  PhaseTimes times_;
  std::vector<float> initial_ = std::vector<float>(kCount);
  std::vector<float> gradient_ = std::vector<float>(kCount);
  std::vector<int64_t> uploads_;  // bytes of each copy to the device
  std::unique_ptr<LateDevice> device_;
  std::unique_ptr<DeviceReplica> on_device_;
  std::unique_ptr<HostReplica> on_host_;
};

TEST_F(DeviceReplicaTest, UpdatesGiveTheHostsBitsUnderEveryOptimizer) {
  ASSERT_GT(layout_.buckets().size(), 2u);
  for (const char* optimizer : {"sgd", "momentum", "nesterov", "adam", "adamw"}) {
    for (const bool clips : {false, true}) {
      Make(Spec(optimizer, clips));
      for (int64_t step = 0; step < 5; ++step) {
        Step(step);
        EXPECT_TRUE(SameBits(on_device_->OnHost(), on_host_->OnHost()))
            << optimizer << " step=" << step << " clips=" << clips;
      }
    }
  }
}

TEST_F(DeviceReplicaTest, OnlyGradientsGoUpWhileNobodyChangesTheWeightsOnTheHost) {
  Make(Spec("momentum", false));
  for (int64_t step = 0; step < 3; ++step) {
    Step(step);
    ASSERT_TRUE(on_device_->ToKernels().ok());
  }
  EXPECT_EQ(on_device_->weights().values.place, Place::kDevice);
  EXPECT_EQ(uploads_.size(), 3 * layout_.buckets().size());
}

TEST_F(DeviceReplicaTest, WeightsThatAreReplacedGoUpOnceAndTheUpdatesGoOnFromThem) {
  Make(Spec("adam", false));
  Step(0);
  uploads_.clear();
  std::vector<float> others(kCount, 2.0f), same = others;
  const int64_t version = on_device_->weights().version;
  on_device_->Replace(&others);
  on_host_->Replace(&same);
  EXPECT_NE(on_device_->weights().version, version);
  EXPECT_EQ(on_device_->weights().values.place, Place::kHostPinned);
  ASSERT_TRUE(on_device_->ToKernels().ok());
  ASSERT_TRUE(on_device_->ToKernels().ok());
  EXPECT_EQ(on_device_->weights().values.place, Place::kDevice);
  EXPECT_EQ(uploads_, std::vector<int64_t>{kCount * 4});
  EXPECT_EQ(on_device_->weights().values.data[3], 2.0f);
  Step(1);
  EXPECT_TRUE(SameBits(on_device_->OnHost(), on_host_->OnHost()));
}

// Straight after a step, and where the kernels have not read the last change yet.
TEST_F(DeviceReplicaTest, WeightsThatAreEditedInPlaceGoUpBeforeTheNextUpdate) {
  Make(Spec("sgd", false));
  Step(0);
  for (int64_t step = 1; step < 4; ++step) {
    for (Replica* replica :
         {static_cast<Replica*>(on_device_.get()), static_cast<Replica*>(on_host_.get())}) {
      const absl::Span<float> weights = replica->Edit();
      for (float& weight : weights) weight += 0.25f;
    }
    if (step == 2) {
      ASSERT_TRUE(on_device_->ToKernels().ok());
    }
    Step(step);
    EXPECT_TRUE(SameBits(on_device_->OnHost(), on_host_->OnHost())) << step;
  }
}

// A worker's checkpoint is as good for one with a device as for one without.
TEST_F(DeviceReplicaTest, StateGoesOnWithTheSameBitsOnTheHostAndOnADevice) {
  Make(Spec("adamw", true));
  Step(0);
  Step(1);
  const auto of_device = on_device_->Give(), of_host = on_host_->Give();
  ASSERT_TRUE(of_device.ok()) << of_device.status();
  Step(2);
  const std::vector<float> expected = Bits(on_host_->OnHost());
  const std::vector<float> last = gradient_;
  const auto apply = [&](Replica& replica) {
    gradient_ = last;
    std::vector<BucketGradient> average;
    for (const Bucket& bucket : layout_.buckets()) {
      average.push_back(
          BucketGradient::OnHost(absl::MakeSpan(gradient_).subspan(bucket.begin, bucket.count)));
    }
    ASSERT_TRUE(replica.Apply(2, average).ok());
    EXPECT_TRUE(SameBits(replica.OnHost(), expected));
  };
  ASSERT_TRUE(on_device_->Take(*of_host).ok());
  apply(*on_device_);
  ASSERT_TRUE(on_host_->Take(*of_device).ok());
  apply(*on_host_);
  EXPECT_EQ(on_device_->state_bytes(), on_host_->state_bytes());
}

TEST_F(DeviceReplicaTest, StateOfAnotherOptimizerIsRefusedAndChangesNothing) {
  Make(Spec("adam", false));
  Step(0);
  const auto adam = on_device_->Give();
  ASSERT_TRUE(adam.ok());
  Make(Spec("momentum", false));
  Step(1);
  const std::vector<float> before = Bits(on_device_->OnHost());
  EXPECT_EQ(on_device_->Take(*adam).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(SameBits(on_device_->OnHost(), before));
  Step(2);
  EXPECT_TRUE(SameBits(on_device_->OnHost(), on_host_->OnHost()));
}

}  // namespace
}  // namespace ringmaster
