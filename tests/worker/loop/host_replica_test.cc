#include "worker/loop/host_replica.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {
namespace {

RunSpec Spec() {
  RunSpec spec;
  spec.mutable_training()->set_workers(1);
  spec.mutable_training()->set_accumulate(1);
  spec.mutable_training()->set_batch_per_worker(4);
  spec.mutable_optimizer()->set_name("sgd");
  spec.mutable_optimizer()->set_learning_rate(0.5f);
  return spec;
}

// A replica of five elements in two buckets.
class HostReplicaTest : public testing::Test {
 protected:
  HostReplica& Make(const RunSpec& spec) {
    auto replica = HostReplica::Create(spec, layout_, 0, {1, 2, 3, 4, 5}, times_);
    EXPECT_TRUE(replica.ok()) << replica.status();
    replica_ = *std::move(replica);
    return *replica_;
  }
  std::vector<float> Weights() const {
    const absl::Span<const float> weights = replica_->weights().host();
    return {weights.begin(), weights.end()};
  }
  // The handles of a gradient that is 1, 2, ... in the arena.
  std::vector<BucketGradient> Gradient() {
    std::vector<BucketGradient> average;
    for (const Bucket& bucket : layout_.buckets()) {
      average.push_back(
          BucketGradient::OnHost(absl::MakeSpan(gradient_).subspan(bucket.begin, bucket.count)));
    }
    return average;
  }

  const ParamLayout layout_{{{"weights", {5}}}, 3};
  PhaseTimes times_;
  std::vector<float> gradient_{1, 2, 3, 4, 5};
  std::unique_ptr<HostReplica> replica_;
};

TEST_F(HostReplicaTest, AppliesEveryBucketInItsPlaceAndTellsItsObserverBefore) {
  HostReplica& replica = Make(Spec());
  const int64_t version = replica.weights().version;
  std::vector<float> seen;
  replica.Observe([&](int64_t step, absl::Span<const BucketGradient> average) {
    EXPECT_EQ(step, 7);
    EXPECT_EQ(Weights(), (std::vector<float>{1, 2, 3, 4, 5}));
    for (const BucketGradient& of_bucket : average) {
      seen.insert(seen.end(), of_bucket.host().begin(), of_bucket.host().end());
    }
  });
  ASSERT_TRUE(replica.Apply(7, Gradient()).ok());
  EXPECT_EQ(seen, gradient_);
  EXPECT_EQ(Weights(), (std::vector<float>{0.5f, 1, 1.5f, 2, 2.5f}));
  EXPECT_NE(replica.weights().version, version);
}

TEST_F(HostReplicaTest, ClipsByTheNormOverAllBuckets) {
  RunSpec spec = Spec();
  spec.mutable_optimizer()->set_learning_rate(1.0f);
  spec.mutable_optimizer()->set_clip_norm(1.0f);
  HostReplica& replica = Make(spec);
  ASSERT_TRUE(replica.Apply(0, Gradient()).ok());
  double moved = 0;
  for (int i = 0; i < 5; ++i) moved += (Weights()[i] - (i + 1)) * (Weights()[i] - (i + 1));
  EXPECT_NEAR(moved, 1.0, 1e-5);
}

TEST_F(HostReplicaTest, WeightsAreReplacedWhole) {
  HostReplica& replica = Make(Spec());
  const int64_t version = replica.weights().version;
  std::vector<float> others(5, 9.0f);
  replica.Replace(&others);
  EXPECT_EQ(Weights(), std::vector<float>(5, 9.0f));
  EXPECT_EQ(others.size(), 5u);
  EXPECT_NE(replica.weights().version, version);
}

TEST(BucketGradientDeathTest, AHandleIsReadAsNothingButWhatItIs) {
  std::vector<float> memory(4);
  std::vector<std::byte> bytes(2);
  const std::vector<absl::Span<std::byte>> slices = {absl::MakeSpan(bytes)};
  const auto host = BucketGradient::OnHost(absl::MakeSpan(memory));
  const auto encoded = BucketGradient::Encoded(slices, absl::MakeSpan(memory));
  const auto device = BucketGradient::OnDevice(memory.data(), absl::MakeSpan(memory));
  EXPECT_EQ(host.host().data(), memory.data());
  EXPECT_EQ(encoded.encoded(0).data(), bytes.data());
  EXPECT_EQ(device.device(), memory.data());
  for (const BucketGradient& gradient : {host, encoded, device})
    EXPECT_EQ(gradient.sum().data(), memory.data());
  EXPECT_DEATH(encoded.host(), "kHost");
  EXPECT_DEATH(device.host(), "kHost");
  EXPECT_DEATH(host.encoded(0), "kEncoded");
  EXPECT_DEATH(host.device(), "kDevice");
}

}  // namespace
}  // namespace ringmaster
