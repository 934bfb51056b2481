#include "worker/model/emulated.h"

#include <chrono>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Two layers of an mlp in several buckets, sleeping.
class EmulatedModel : public testing::Test {
 protected:
  void SetUp() override {
    auto kernels = CreateKernelLibrary("reference", 0);
    ASSERT_TRUE(kernels.ok()) << kernels.status();
    kernels_ = *std::move(kernels);
    ModelSpec spec;
    spec.set_name("mlp");
    spec.add_mlp_hidden(16);
    ModelOptions options;
    options.shape = {1, 8, 8, 10};
    options.max_batch = 1;
    options.bucket_bytes = 1000;
    for (auto* model : {&real_, &emulated_}) {
      auto created = CreateModel(spec, options, *kernels_);
      ASSERT_TRUE(created.ok()) << created.status();
      *model = *std::move(created);
    }
    emulated_ = CreateEmulatedModel(
        std::move(emulated_), {absl::Milliseconds(20), absl::Milliseconds(40), {}}, *kernels_);
    weights_.assign(real_->layout().count(), 0.5f);
    gradients_.assign(real_->layout().count(), 7.0f);
    batch_.count = 32;  // more than the model underneath takes
    batch_.training = true;
  }

  TensorView Arena(std::vector<float>& values) {
    return {values.data(), 1, static_cast<int64_t>(values.size()), Place::kHost};
  }

  std::unique_ptr<KernelLibrary> kernels_;
  std::unique_ptr<Model> real_;
  std::unique_ptr<Model> emulated_;
  std::vector<float> weights_;
  std::vector<float> gradients_;
  BatchView batch_;
};

TEST_F(EmulatedModel, HasTheRealLayoutAndInitialWeights) {
  EXPECT_EQ(emulated_->layout().fingerprint(), real_->layout().fingerprint());
  std::vector<float> real(weights_.size()), emulated(weights_.size());
  real_->InitWeights(3, absl::MakeSpan(real));
  emulated_->InitWeights(3, absl::MakeSpan(emulated));
  EXPECT_EQ(emulated, real);
}

TEST_F(EmulatedModel, BucketsAreAnnouncedInTheirOrderWhenTheirShareOfTheTimeIsOverAndAreZero) {
  Clock::time_point begin = Clock::now();
  ASSERT_TRUE(emulated_->Forward(batch_, Arena(weights_)).ok());
  EXPECT_GE(MillisecondsSince(begin), 20);
  begin = Clock::now();
  int64_t done = 0;
  const absl::Status status =
      emulated_->Backward(Arena(weights_), Arena(gradients_), [&](const Bucket& bucket) {
        EXPECT_EQ(bucket.begin, done);
        done = bucket.end();
        EXPECT_GE(MillisecondsSince(begin) + 1e-3,
                  40.0 * static_cast<double>(done) / static_cast<double>(weights_.size()));
        for (int64_t i = bucket.begin; i < bucket.end(); ++i) EXPECT_EQ(gradients_[i], 0.0f);
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(done, real_->layout().count());
  EXPECT_GT(real_->layout().buckets().size(), 2u);
  const auto score = emulated_->Score();
  ASSERT_TRUE(score.ok());
  EXPECT_EQ(score->loss_sum, 0);
  EXPECT_GT(score->count, 0);
}

TEST_F(EmulatedModel, TheEndOfTheRunEndsItsSleep) {
  bool over = false;
  emulated_ = CreateEmulatedModel(
      std::move(emulated_),
      {absl::ZeroDuration(), absl::Hours(1),
       [&over] { return over ? absl::CancelledError("the run is over") : absl::OkStatus(); }},
      *kernels_);
  ASSERT_TRUE(emulated_->Forward(batch_, Arena(weights_)).ok());
  over = true;
  EXPECT_EQ(emulated_->Backward(Arena(weights_), Arena(gradients_),
                                [](const Bucket&) { return absl::OkStatus(); }),
            absl::CancelledError("the run is over"));
}

TEST_F(EmulatedModel, RefusesBackwardWithoutForwardAndScoresOfRows) {
  const auto ready = [](const Bucket&) { return absl::OkStatus(); };
  EXPECT_EQ(emulated_->Backward(Arena(weights_), Arena(gradients_), ready).code(),
            absl::StatusCode::kFailedPrecondition);
  batch_.training = false;
  ASSERT_TRUE(emulated_->Forward(batch_, Arena(weights_)).ok());
  EXPECT_EQ(emulated_->Backward(Arena(weights_), Arena(gradients_), ready).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(emulated_->ScoreRows({}, {}).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace ringmaster
