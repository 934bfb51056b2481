#include "worker/loop/not_finite.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

// fc1 of 2 features, 2 classes: weight [2, 2], then bias [2], in buckets of 4 elements.
class NotFinite : public testing::Test {
 protected:
  void SetUp() override {
    auto kernels = CreateKernelLibrary("cpu", 0);
    ASSERT_TRUE(kernels.ok()) << kernels.status();
    kernels_ = *std::move(kernels);
    ModelSpec spec;
    spec.set_name("mlp");
    ModelOptions options;
    options.shape = {1, 1, 2, 2};
    options.max_batch = 1;
    options.bucket_bytes = 16;
    auto model = CreateModel(spec, options, *kernels_);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    weights_.assign(6, 0.5f);
  }

  absl::Status Explain(const std::vector<float>& features) {
    LostBatch lost;
    lost.loss = NAN;
    lost.batch.features = features.data();
    lost.batch.labels = labels_.data();
    lost.batch.count = 1;
    lost.batch.training = true;
    lost.weights = {weights_.data(), 1, 6, Place::kHost};
    lost.host_weights = weights_;
    return ExplainLostBatch(lost, *model_, *kernels_);
  }

  std::unique_ptr<KernelLibrary> kernels_;
  std::unique_ptr<Model> model_;
  std::vector<float> weights_;
  const std::vector<int32_t> labels_ = {1};
};

TEST_F(NotFinite, APlaceInTheArenaIsBucketTensorAndElement) {
  EXPECT_EQ(PlaceInArena(model_->layout(), 0), "bucket=0 (fc1.weight[0])");
  EXPECT_EQ(PlaceInArena(model_->layout(), 3), "bucket=0 (fc1.weight[3])");
  EXPECT_EQ(PlaceInArena(model_->layout(), 4), "bucket=1 (fc1.bias[0])");
  EXPECT_EQ(PlaceInArena(model_->layout(), 5), "bucket=1 (fc1.bias[1])");
}

TEST_F(NotFinite, TheFirstWeightThatIsNoNumberIsNamedBeforeAnyGradient) {
  weights_[5] = std::numeric_limits<float>::infinity();
  const absl::Status status = Explain({1, 2});
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(status.message(), "the training loss is nan: weight inf in bucket=1 (fc1.bias[1])");
}

TEST_F(NotFinite, WithFiniteWeightsTheFirstGradientThatIsNoNumberIsNamed) {
  // The gradient of weight [c, i] is (p[c] - label) * feature[i].
  const absl::Status status = Explain({0, std::numeric_limits<float>::infinity()});
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("with finite weights: gradient "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("in bucket=0 (fc1.weight["));
}

TEST_F(NotFinite, FiniteWeightsAndGradientsAreStillAnError) {
  const absl::Status status = Explain({1, 2});
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("with finite weights and gradients in every bucket"));
}

}  // namespace
}  // namespace ringmaster
