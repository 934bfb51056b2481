#include "worker/model/emulated.h"

#include <algorithm>
#include <chrono>
#include <cmath>
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
    Emulate({absl::Milliseconds(20), absl::Milliseconds(40), {}});
    weights_.assign(real_->layout().count(), 0.5f);
    gradients_.assign(real_->layout().count(), 7.0f);
    batch_.count = 32;  // more than the model underneath takes
    batch_.training = true;
  }

  // Of three ranks with two batches a lot each.
  void Emulate(EmulatedTimes times, uint64_t seed = 5) {
    auto created =
        CreateEmulatedModel(std::move(emulated_), std::move(times), {seed, 3, 2, 1.0f}, *kernels_);
    ASSERT_TRUE(created.ok()) << created.status();
    emulated_ = *std::move(created);
  }

  // Of batch `number` of the stream, in an arena that others have written to before.
  std::vector<float> Gradients(int64_t number, float scale = 1) {
    batch_.number = number;
    batch_.gradient_scale = scale;
    std::vector<float> gradients(weights_.size(), 7.0f);
    EXPECT_TRUE(emulated_->Forward(batch_, Arena(weights_)).ok());
    int64_t done = 0;
    const absl::Status status =
        emulated_->Backward(Arena(weights_), Arena(gradients), [&](const Bucket& bucket) {
          EXPECT_NE(gradients[bucket.begin], 7.0f) << "announced before it was written";
          done = bucket.end();
          // What strategies do with it.
          for (int64_t i = bucket.begin; i < bucket.end(); ++i) gradients[i] *= 2;
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(done, real_->layout().count());
    for (float& gradient : gradients) gradient /= 2;
    return gradients;
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

TEST_F(EmulatedModel, BucketsAreAnnouncedInTheirOrderWhenTheirShareOfTheTimeIsOver) {
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
        for (int64_t i = bucket.begin; i < bucket.end(); ++i) EXPECT_NE(gradients_[i], 7.0f);
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

TEST_F(EmulatedModel, TakesLongerOnceItIsSlowed) {
  double factor = 1;
  Emulate({absl::Milliseconds(4), absl::Milliseconds(4), {}, [&factor] { return factor; }});
  factor = 5;
  Clock::time_point begin = Clock::now();
  ASSERT_TRUE(emulated_->Forward(batch_, Arena(weights_)).ok());
  EXPECT_GE(MillisecondsSince(begin), 20);
  begin = Clock::now();
  const auto ready = [](const Bucket& bucket) { return absl::OkStatus(); };
  ASSERT_TRUE(emulated_->Backward(Arena(weights_), Arena(gradients_), ready).ok());
  EXPECT_GE(MillisecondsSince(begin) + 1e-3, 20);
}

TEST_F(EmulatedModel, GradientsAreThoseOfTheLotsRankInEveryStepWhoeverComputesIt) {
  Emulate({});
  // Batches 0 and 1 are lot 0, of rank 0 in step 0; 6 and 7 lot 3, of rank 0 in step 1.
  const std::vector<float> first = Gradients(0), second = Gradients(2), third = Gradients(4);
  EXPECT_EQ(Gradients(1), first);
  EXPECT_EQ(Gradients(7), first);
  EXPECT_EQ(Gradients(9), second);
  EXPECT_EQ(Gradients(11), third);
  const size_t count = weights_.size();
  ASSERT_GT(count, 1000u);
  for (size_t i = 0; i < count; ++i) {
    ASSERT_NE(first[i], second[i]) << i;
    ASSERT_NE(first[i], third[i]) << i;
    ASSERT_NE(second[i], third[i]) << i;
  }
  const auto sorted = [](std::vector<float> values) {
    std::sort(values.begin(), values.end());
    return values;
  };
  EXPECT_EQ(sorted(second), sorted(first)) << "one draw, from another place";
}

TEST_F(EmulatedModel, GradientsAreGaussianOfTheSeedTimesTheBatchsScale) {
  Emulate({});
  const std::vector<float> drawn = Gradients(0);
  const double count = static_cast<double>(drawn.size());
  double sum = 0, squares = 0, fourth = 0;
  for (const float gradient : drawn) {
    const double z = gradient / EmulatedGradients::kDeviation;
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
  }
  // Within four standard errors of a normal's moments: 0, 1 and 3, with variances 1, 2 and 96.
  EXPECT_NEAR(sum / count, 0, 4 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 4 * std::sqrt(2 / count));
  EXPECT_NEAR(fourth / count, 3, 4 * std::sqrt(96 / count));
  std::vector<float> quarter = Gradients(0, 0.25f);
  for (float& gradient : quarter) gradient *= 4;
  EXPECT_EQ(quarter, drawn);
  EXPECT_EQ(Gradients(0), drawn);
  Emulate({}, 6);
  EXPECT_NE(Gradients(0), drawn);
}

TEST_F(EmulatedModel, ABatchThatIsScoredLeavesTheDrawAlone) {
  Emulate({});
  const std::vector<float> drawn = Gradients(0, 0.5f);
  batch_.training = false;
  batch_.gradient_scale = 1;
  ASSERT_TRUE(emulated_->Forward(batch_, Arena(weights_)).ok());
  batch_.training = true;
  EXPECT_EQ(Gradients(0, 0.5f), drawn);
}

TEST_F(EmulatedModel, TheEndOfTheRunEndsItsSleep) {
  bool over = false;
  Emulate({absl::ZeroDuration(), absl::Hours(1),
           [&over] { return over ? absl::CancelledError("the run is over") : absl::OkStatus(); }});
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
