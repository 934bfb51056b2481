#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Bytes = DeviceArray<uint8_t>;
using Ints = DeviceArray<int32_t>;

namespace {

void ExpectRefused(const std::vector<absl::Status>& refusals) {
  for (size_t i = 0; i < refusals.size(); ++i) {
    EXPECT_EQ(refusals[i].code(), absl::StatusCode::kInvalidArgument) << "refusal " << i << ": " << refusals[i];
  }
}

}  // namespace

TEST_P(KernelOpTest, SizesThatMakeNoSenseAreRefusedWithTheirValues) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  Bytes argmax = Bytes::Poisoned(kernels(), 64);
  float* data = memory.data();
  GemmCall gemm{false, false, 4, 4, 4, 1.0f, data, 4, data, 4, 0.0f, data, 3};
  std::vector<absl::Status> refusals = {
      kernels().Gemm(gemm),
      kernels().AddBias({data, -1, 4, data}),
      kernels().BiasGradient({data, 4, -1, data}),
      kernels().ReluBackward({data, data, -1}),
      kernels().Im2Col({{1, 1, 4, 4, 5, 0}, 0, 1, data, data}),
      kernels().Im2Col({{1, 2, 4, 4, 3, 0}, 1, 2, data, data}),
      kernels().Col2Im({{1, 2, 4, 4, 3, 0}, -1, 2, data, data}),
      kernels().MaxPool({1, 3, 4, data, data, argmax.data()}),
      kernels().MaxPoolBackward({1, 4, 5, data, argmax.data(), data}),
      kernels().SwapAxes({1, -2, 3, data, data}),
      kernels().SoftmaxCrossEntropy({1, 0, data, nullptr, data, data, data, 1.0f}),
      kernels().FillZero(data, -1),
      kernels().CopyFloats(data, data, -1),
      kernels().Im2Col({{1, 1, 4, 4, 3, 0, 0}, 0, 1, data, data}),
      kernels().Im2Col({{1, 1, 4, 4, 5, 0, 2}, 0, 1, data, data}),
      kernels().Col2Im({{1, 1, 4, 4, 3, 0, -2}, 0, 1, data, data}),
      kernels().Relu({data, -1}),
      kernels().Add({data, data, -1}),
      kernels().Gelu({data, -1, 4, data, data}),
      kernels().GeluBackward({data, data, -1}),
      kernels().Dropout({data, -1, 0.5f, 1}),
      kernels().Dropout({data, 4, 1.0f, 1}),
      kernels().Dropout({data, 4, -0.1f, 1}),
      kernels().Dropout({data, 4, kNan, 1}),
      kernels().AveragePool({4, 0, data, data}),
      kernels().Convolution({{1, 1, 4, 4, 5, 0}, {1, 1, 4, 4, 5, 0}, 1, data, data, data, data}),
      kernels().ConvolutionWeightGradient({{1, 1, 4, 4, 3, 0}, {1, 1, 4, 4, 3, 0}, 0, data, data, data, data}),
      kernels().ConvolutionInputGradient({{1, 2, 4, 4, 3, 0}, {1, 1, 4, 4, 3, 0}, 1, data, data, data, data}),
      kernels().AveragePoolBackward({-1, 4, data, data}),
  };
  ExpectRefused(refusals);
  EXPECT_NE(refusals[0].message().find("ldc=3"), absl::string_view::npos) << refusals[0];
  for (const float value : memory.Download()) EXPECT_TRUE(std::isnan(value));
}

TEST_P(KernelOpTest, NormsOfImpossibleShapesAreRefused) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  float* data = memory.data();
  const auto norm = [&](const NormShape& shape, float epsilon, float* variance) {
    return kernels().Norm({shape, epsilon, data, data, data, data, data, data, variance});
  };
  const NormShape layer{NormKind::kLayer, 2, 4}, batch{NormKind::kBatch, 2, 4, 3};
  const NormShape groups_do_not_divide{NormKind::kGroup, 2, 4, 3, 3}, no_groups{NormKind::kGroup, 2, 4, 3, 0};
  ExpectRefused({
      norm({NormKind::kLayer, -1, 4}, 1e-5f, nullptr),
      norm({NormKind::kLayer, 2, 0}, 1e-5f, nullptr),
      norm({NormKind::kLayer, 2, 4, 3}, 1e-5f, nullptr),
      norm({NormKind::kBatch, 0, 4, 3}, 1e-5f, nullptr),
      norm({NormKind::kBatch, 2, 4, 0}, 1e-5f, nullptr),
      norm(groups_do_not_divide, 1e-5f, nullptr),
      norm(no_groups, 1e-5f, nullptr),
      norm(batch, 0.0f, nullptr),
      norm(batch, kNan, nullptr),
      norm({NormKind::kBatch, 1, 4, 1}, 1e-5f, data),  // one element has no corrected variance
      kernels().NormInference({layer, 1e-5f, data, data, data, data, data, data}),
      kernels().NormInference({{NormKind::kBatch, 2, -4, 3}, 1e-5f, data, data, data, data, data, data}),
      kernels().NormInference({batch, -1.0f, data, data, data, data, data, data}),
      kernels().NormParamGradient({groups_do_not_divide, data, data, data, data, data, data}),
      kernels().NormInputGradient({no_groups, data, data, data, data, data, data}),
  });
  const absl::Status status = norm(groups_do_not_divide, 1e-5f, nullptr);
  EXPECT_NE(status.message().find("features=4 pixels=3 groups_per_image=3"), absl::string_view::npos) << status;
  for (const float value : memory.Download()) EXPECT_TRUE(std::isnan(value));
}

TEST_P(KernelOpTest, EmbeddingsAndAttentionOfImpossibleSizesAreRefused) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  float* data = memory.data();
  Ints tokens(kernels(), {0, 0});
  const auto attend = [&](const AttentionShape& shape) { return kernels().Attention({shape, data, data, data}); };
  ExpectRefused({
      kernels().Embedding({-1, 1, 4, 4, tokens.data(), data, data, data}),
      kernels().Embedding({2, 0, 4, 4, tokens.data(), data, data, data}),
      kernels().Embedding({2, 1, 0, 4, tokens.data(), data, data, data}),
      kernels().Embedding({2, 1, 4, 0, tokens.data(), data, data, data}),
      kernels().EmbeddingGradient({2, -1, 4, 4, tokens.data(), data, data, data, false}),
      attend({-1, 1, 1, 1}),
      attend({1, 0, 1, 1}),
      attend({1, 1, 0, 1}),
      attend({1, 1, 1, -1}),
      kernels().AttentionBackward({{1, 2, 0, 4}, data, data, data, data, data}),
  });
  const absl::Status status = attend({1, 4, 0, 8});
  EXPECT_NE(status.message().find("heads=0 head_width=8"), absl::string_view::npos) << status;
  for (const float value : memory.Download()) EXPECT_TRUE(std::isnan(value));
}

}  // namespace ringmaster
