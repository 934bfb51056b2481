#include <cmath>
#include <set>
#include <variant>

#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Bytes = DeviceArray<uint8_t>;
using Ints = DeviceArray<int32_t>;

namespace {

// Each of `operations` is refused, alone and in a segment, and `memory`, where they would write,
// stays poisoned.
void ExpectRefused(KernelLibrary& kernels, const Operations& operations, const Floats& memory) {
  for (size_t i = 0; i < operations.size(); ++i) {
    const absl::Status alone = kernels.Run(operations[i]);
    EXPECT_EQ(alone.code(), absl::StatusCode::kInvalidArgument)
        << "operation " << i << ": " << alone;
    const absl::Status in_segment =
        kernels.RunSegment({FillZeroCall{memory.data(), memory.count()}, operations[i]});
    EXPECT_EQ(in_segment, alone) << "operation " << i << " in a segment";
  }
  for (const float value : memory.Download()) EXPECT_TRUE(std::isnan(value));
}

bool Says(const absl::Status& status, absl::string_view text) {
  return status.message().find(text) != absl::string_view::npos;
}

}  // namespace

TEST_P(KernelOpTest, EveryOperationIsRefusedWhenItsSizesMakeNoSense) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  Bytes argmax = Bytes::Poisoned(kernels(), 64);
  Ints tokens(kernels(), {0, 0});
  float* data = memory.data();
  const NormShape layer{NormKind::kLayer, 2, 4};
  const Operations operations = {
      GemmCall{false, false, 4, 4, 4, 1.0f, data, 4, data, 4, 0.0f, data, 3},
      BiasCall{data, -1, 4, data},
      BiasGradientCall{data, 4, -1, data},
      ReluBackwardCall{data, data, -1},
      Im2ColCall{{1, 1, 4, 4, 5, 0}, 0, 1, data, data},
      Col2ImCall{{1, 2, 4, 4, 3, 0}, -1, 2, data, data},
      ConvolutionCall{{1, 1, 4, 4, 5, 0}, {1, 1, 4, 4, 5, 0}, 1, data, data, data, data},
      ConvolutionWeightGradientCall{
          {1, 1, 4, 4, 3, 0}, {1, 1, 4, 4, 3, 0}, 0, data, data, data, data},
      ConvolutionInputGradientCall{
          {1, 2, 4, 4, 3, 0}, {1, 1, 4, 4, 3, 0}, 1, data, data, data, data},
      MaxPoolCall{1, 3, 4, data, data, argmax.data()},
      MaxPoolBackwardCall{1, 4, 5, data, argmax.data(), data},
      SwapAxesCall{1, -2, 3, data, data},
      SoftmaxCrossEntropyCall{1, 0, data, nullptr, data, data, data, 1.0f},
      ReluCall{data, -1},
      AddCall{data, data, -1},
      GeluCall{data, -1, 4, data, data},
      GeluBackwardCall{data, data, -1},
      DropoutCall{data, -1, 0.5f, 1},
      AveragePoolCall{4, 0, data, data},
      AveragePoolBackwardCall{-1, 4, data, data},
      NormCall{layer, 0.0f, data, data, data, data, data, data, nullptr},
      NormInferenceCall{layer, 1e-5f, data, data, data, data, data, data},
      NormParamGradientCall{{NormKind::kGroup, 2, 4, 3, 3}, data, data, data, data, data, data},
      NormInputGradientCall{{NormKind::kGroup, 2, 4, 3, 0}, data, data, data, data, data, data},
      EmbeddingCall{-1, 1, 4, 4, tokens.data(), data, data, data},
      EmbeddingGradientCall{2, -1, 4, 4, tokens.data(), data, data, data, false},
      AttentionCall{{1, 0, 1, 1}, data, data, data},
      AttentionBackwardCall{{1, 2, 0, 4}, data, data, data, data, data},
      EncodeCall{EncodeKind::kTopk, 4, 5, 0, data, data, reinterpret_cast<std::byte*>(data),
                 nullptr},
      UpdateCall{{UpdateKind::kMomentum}, 4, data, data, nullptr, nullptr},
      FillZeroCall{data, -1},
      CopyFloatsCall{data, data, -1},
  };
  std::set<size_t> kinds;
  for (const Operation& operation : operations) kinds.insert(operation.index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<Operation>)
      << "an operation has no call here that makes no sense";
  ExpectRefused(kernels(), operations, memory);
  EXPECT_TRUE(Says(kernels().Run(operations[0]), "ldc=3")) << kernels().Run(operations[0]);
}

TEST_P(KernelOpTest, WindowsAndRatesOutOfRangeAreRefused) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  float* data = memory.data();
  ExpectRefused(kernels(),
                {
                    Im2ColCall{{1, 2, 4, 4, 3, 0}, 1, 2, data, data},
                    Im2ColCall{{1, 1, 4, 4, 3, 0, 0}, 0, 1, data, data},
                    Im2ColCall{{1, 1, 4, 4, 5, 0, 2}, 0, 1, data, data},
                    Col2ImCall{{1, 1, 4, 4, 3, 0, -2}, 0, 1, data, data},
                    DropoutCall{data, 4, 1.0f, 1},
                    DropoutCall{data, 4, -0.1f, 1},
                    DropoutCall{data, 4, kNan, 1},
                },
                memory);
}

TEST_P(KernelOpTest, NormsOfImpossibleShapesAreRefused) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  float* data = memory.data();
  const auto norm = [&](const NormShape& shape, float epsilon, float* variance) {
    return NormCall{shape, epsilon, data, data, data, data, data, data, variance};
  };
  const NormShape batch{NormKind::kBatch, 2, 4, 3};
  const NormShape groups_do_not_divide{NormKind::kGroup, 2, 4, 3, 3},
      no_groups{NormKind::kGroup, 2, 4, 3, 0};
  ExpectRefused(
      kernels(),
      {
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
          NormInferenceCall{
              {NormKind::kBatch, 2, -4, 3}, 1e-5f, data, data, data, data, data, data},
          NormInferenceCall{batch, -1.0f, data, data, data, data, data, data},
      },
      memory);
  const absl::Status status = kernels().Run(norm(groups_do_not_divide, 1e-5f, nullptr));
  EXPECT_TRUE(Says(status, "features=4 pixels=3 groups_per_image=3")) << status;
}

TEST_P(KernelOpTest, EmbeddingsAndAttentionOfImpossibleSizesAreRefused) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  float* data = memory.data();
  Ints tokens(kernels(), {0, 0});
  const auto attend = [&](const AttentionShape& shape) {
    return AttentionCall{shape, data, data, data};
  };
  ExpectRefused(kernels(),
                {
                    EmbeddingCall{2, 0, 4, 4, tokens.data(), data, data, data},
                    EmbeddingCall{2, 1, 0, 4, tokens.data(), data, data, data},
                    EmbeddingCall{2, 1, 4, 0, tokens.data(), data, data, data},
                    attend({-1, 1, 1, 1}),
                    attend({1, 1, 0, 1}),
                    attend({1, 1, 1, -1}),
                },
                memory);
  const absl::Status status = kernels().Run(attend({1, 4, 0, 8}));
  EXPECT_TRUE(Says(status, "heads=0 head_width=8")) << status;
}

}  // namespace ringmaster
