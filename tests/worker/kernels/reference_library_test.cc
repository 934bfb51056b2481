#include "worker/kernels/reference/reference_library.h"

#include <cmath>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {
namespace {

absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateReference() {
  return std::make_unique<ReferenceLibrary>();
}

// Beside itself: refusals, guards, and the same bits at other addresses.
INSTANTIATE_TEST_SUITE_P(Reference, KernelOpTest,
                         ::testing::Values(KernelUnderTest{"reference", CreateReference}));

// The oracle itself against results worked out by hand.

using Values = std::vector<float>;

TEST(ReferenceLibrary, GemmMultipliesRowMajorMatricesAndTheirTransposes) {
  ReferenceLibrary reference;
  const Values a = {1, 2, 3, 4, 5, 6};  // [2, 3]
  const Values a_transposed = {1, 4, 2, 5, 3, 6};
  const Values b = {1, 0, -1, 2, 3, 1};  // [3, 2]
  const Values b_transposed = {1, -1, 3, 0, 2, 1};
  // a b = [[8, 7], [17, 16]]; 2 a b - c with c all ones.
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      Values c(4, 1.0f);
      GemmCall call{transpose_a,
                    transpose_b,
                    2,
                    2,
                    3,
                    2.0f,
                    (transpose_a ? a_transposed : a).data(),
                    transpose_a ? 2 : 3,
                    (transpose_b ? b_transposed : b).data(),
                    transpose_b ? 3 : 2,
                    -1.0f,
                    c.data(),
                    2};
      ASSERT_EQ(reference.Run(call), absl::OkStatus());
      EXPECT_EQ(c, (Values{15, 13, 33, 31}));
    }
  }
}

TEST(ReferenceLibrary, AddBiasFollowsItsAxisAndRelu) {
  ReferenceLibrary reference;
  const Values bias = {10, -10};
  Values data = {1, 2, 3, 4};
  ASSERT_EQ(reference.Run(BiasCall{data.data(), 2, 2, bias.data(), BiasAxis::kPerColumn, false}),
            absl::OkStatus());
  EXPECT_EQ(data, (Values{11, -8, 13, -6}));
  data = {1, 2, 3, 4};
  ASSERT_EQ(reference.Run(BiasCall{data.data(), 2, 2, bias.data(), BiasAxis::kPerRow, true}),
            absl::OkStatus());
  EXPECT_EQ(data, (Values{11, 12, 0, 0}));
}

TEST(ReferenceLibrary, BiasGradientSumsAlongTheOtherAxis) {
  ReferenceLibrary reference;
  const Values gradient = {1, 2, 3, 4, 5, 6};  // [2, 3]
  Values per_column(3), per_row(2);
  ASSERT_EQ(reference.Run(
                BiasGradientCall{gradient.data(), 2, 3, per_column.data(), BiasAxis::kPerColumn}),
            absl::OkStatus());
  EXPECT_EQ(per_column, (Values{5, 7, 9}));
  ASSERT_EQ(
      reference.Run(BiasGradientCall{gradient.data(), 2, 3, per_row.data(), BiasAxis::kPerRow}),
      absl::OkStatus());
  EXPECT_EQ(per_row, (Values{6, 15}));
}

TEST(ReferenceLibrary, ReluBackwardStopsTheGradientOfZero) {
  ReferenceLibrary reference;
  const Values output = {0, 1, -1, 0.5f};
  Values gradient = {1, 2, 3, 4};
  ASSERT_EQ(reference.Run(ReluBackwardCall{output.data(), gradient.data(), 4}), absl::OkStatus());
  EXPECT_EQ(gradient, (Values{0, 2, 0, 4}));
}

// One channel, two images 2x3, kernel 2: windows 1x2 of the second image.
TEST(ReferenceLibrary, Im2ColTakesTheWindowsOfOneImageAndCol2ImPutsThemBack) {
  ReferenceLibrary reference;
  const ConvShape shape{1, 2, 2, 3, 2, 0};
  const Values input = {0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6};
  Values columns(8);
  ASSERT_EQ(reference.Run(Im2ColCall{shape, 1, 1, input.data(), columns.data()}), absl::OkStatus());
  EXPECT_EQ(columns, (Values{1, 2, 2, 3, 4, 5, 5, 6}));
  Values gradient(12, 100.0f);
  ASSERT_EQ(reference.Run(Col2ImCall{shape, 1, 1, columns.data(), gradient.data()}),
            absl::OkStatus());
  EXPECT_EQ(gradient, (Values{100, 100, 100, 100, 100, 100, 101, 104, 103, 104, 110, 106}));
}

TEST(ReferenceLibrary, PaddingReadsAsZero) {
  ReferenceLibrary reference;
  const ConvShape shape{1, 1, 1, 1, 3, 1};
  const Values input = {7};
  Values columns(9, -1.0f);
  ASSERT_EQ(reference.Run(Im2ColCall{shape, 0, 1, input.data(), columns.data()}), absl::OkStatus());
  EXPECT_EQ(columns, (Values{0, 0, 0, 0, 7, 0, 0, 0, 0}));
}

TEST(ReferenceLibrary, MaxPoolKeepsTheFirstOfEqualsAndItsPosition) {
  ReferenceLibrary reference;
  const Values input = {1, 2, 5, 5, 4, 3, 5, 5};  // [2, 4]
  Values output(2), input_gradient(8, -1.0f);
  std::vector<uint8_t> argmax(2);
  ASSERT_EQ(reference.Run(MaxPoolCall{1, 2, 4, input.data(), output.data(), argmax.data()}),
            absl::OkStatus());
  EXPECT_EQ(output, (Values{4, 5}));
  EXPECT_EQ(argmax, (std::vector<uint8_t>{2, 0}));
  const Values gradient = {8, 9};
  ASSERT_EQ(reference.Run(MaxPoolBackwardCall{1, 2, 4, gradient.data(), argmax.data(),
                                              input_gradient.data()}),
            absl::OkStatus());
  EXPECT_EQ(input_gradient, (Values{0, 0, 9, 0, 8, 0, 0, 0}));
}

TEST(ReferenceLibrary, SwapAxesExchangesTheOuterTwo) {
  ReferenceLibrary reference;
  const Values input = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // [2, 3, 2]
  Values output(12);
  ASSERT_EQ(reference.Run(SwapAxesCall{2, 3, 2, input.data(), output.data()}), absl::OkStatus());
  EXPECT_EQ(output, (Values{1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12}));
}

TEST(ReferenceLibrary, SoftmaxCrossEntropyOfKnownProbabilities) {
  ReferenceLibrary reference;
  // Probabilities 1/4, 3/4 and 1/2, 1/2.
  const Values logits = {0.0f, std::log(3.0f), 2.0f, 2.0f};
  const std::vector<int32_t> labels = {0, 0};
  Values loss(2), correct(2), gradient(4);
  ASSERT_EQ(reference.Run(SoftmaxCrossEntropyCall{2, 2, logits.data(), labels.data(), loss.data(),
                                                  correct.data(), gradient.data(), 0.5f}),
            absl::OkStatus());
  EXPECT_NEAR(loss[0], std::log(4.0), 1e-6);
  EXPECT_NEAR(loss[1], std::log(2.0), 1e-6);
  EXPECT_EQ(correct, (Values{0, 1}));
  const Values expected = {-0.375f, 0.375f, -0.25f, 0.25f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(gradient[i], expected[i], 1e-6) << i;
}

TEST(ReferenceLibrary, AStrideOfTwoTakesEverySecondWindow) {
  ReferenceLibrary reference;
  // 1 x 2 windows; the last row and no column is left over
  const ConvShape shape{1, 1, 3, 4, 2, 0, 2};
  const Values input = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  Values columns(8), gradient(12, 1.0f);
  ASSERT_EQ(reference.Run(Im2ColCall{shape, 0, 1, input.data(), columns.data()}), absl::OkStatus());
  EXPECT_EQ(columns, (Values{1, 3, 2, 4, 5, 7, 6, 8}));
  ASSERT_EQ(reference.Run(Col2ImCall{shape, 0, 1, columns.data(), gradient.data()}),
            absl::OkStatus());
  EXPECT_EQ(gradient, (Values{2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 1, 1}));
}

TEST(ReferenceLibrary, ReluAndAddWorkInPlace) {
  ReferenceLibrary reference;
  Values data = {-1, 0, 2};
  ASSERT_EQ(reference.Run(ReluCall{data.data(), 3}), absl::OkStatus());
  EXPECT_EQ(data, (Values{0, 0, 2}));
  const Values more = {10, 20, 30};
  ASSERT_EQ(reference.Run(AddCall{more.data(), data.data(), 3}), absl::OkStatus());
  EXPECT_EQ(data, (Values{10, 20, 32}));
}

TEST(ReferenceLibrary, GeluAddsTheBiasFirstAndLeavesItInTheInput) {
  ReferenceLibrary reference;
  const Values bias = {1, -1};
  Values input = {0, 0, -1, 3}, output(4);
  ASSERT_EQ(reference.Run(GeluCall{input.data(), 2, 2, bias.data(), output.data()}),
            absl::OkStatus());
  EXPECT_EQ(input, (Values{1, -1, 0, 2}));
  // The tanh form's values, which differ from those of the exact form (0.84134, -0.15866,
  // 0, 1.95450) in the fourth digit.
  const Values expected = {0.841192f, -0.158808f, 0.0f, 1.954598f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(output[i], expected[i], 1e-6) << i;
}

TEST(ReferenceLibrary, AveragePoolIsTheMean) {
  ReferenceLibrary reference;
  const Values input = {1, 2, 3, 10, 20, 60};
  Values output(2), gradient(6);
  ASSERT_EQ(reference.Run(AveragePoolCall{2, 3, input.data(), output.data()}), absl::OkStatus());
  EXPECT_EQ(output, (Values{2, 30}));
  ASSERT_EQ(reference.Run(AveragePoolBackwardCall{2, 3, output.data(), gradient.data()}),
            absl::OkStatus());
  const float third = 2.0f / 3.0f;
  EXPECT_EQ(gradient, (Values{third, third, third, 10, 10, 10}));
}

// Groups of the numbers 1 and 3: mean 2, variance 1 (corrected 2), normalized -1 and 1.
TEST(ReferenceLibrary, NormTakesRowsFeaturesOrGroupsOfChannels) {
  ReferenceLibrary reference;
  const Values gain = {1, 10}, bias = {0, 5};
  const auto norm = [&](const NormShape& shape, const Values& input) {
    Values output(input.size()), mean(shape.groups()), inverse(shape.groups()),
        variance(shape.groups());
    EXPECT_EQ(reference.Run(NormCall{shape, 1e-12f, input.data(), gain.data(), bias.data(),
                                     output.data(), mean.data(), inverse.data(), variance.data()}),
              absl::OkStatus());
    EXPECT_EQ(mean, Values(shape.groups(), 2.0f));
    EXPECT_EQ(inverse, Values(shape.groups(), 1.0f));
    EXPECT_EQ(variance, Values(shape.groups(), 2.0f));
    return output;
  };
  EXPECT_EQ(norm({NormKind::kLayer, 2, 2}, {1, 3, 3, 1}), (Values{-1, 15, 1, -5}));
  EXPECT_EQ(norm({NormKind::kBatch, 2, 2, 1}, {1, 3, 3, 1}), (Values{-1, 1, 15, -5}));
  // Two images of one pixel, both channels one group: [channel][image].
  EXPECT_EQ(norm({NormKind::kGroup, 2, 2, 1, 1}, {1, 3, 3, 1}), (Values{-1, 1, 15, -5}));
  EXPECT_EQ(norm({NormKind::kGroup, 1, 2, 2, 2}, {1, 3, 3, 1}), (Values{-1, 1, 15, -5}));
}

TEST(ReferenceLibrary, NormInferenceUsesTheGivenStatistics) {
  ReferenceLibrary reference;
  const Values input = {4, 6, 1, 2}, mean = {4, 0}, variance = {4, 0.25f}, gain = {1, 2},
               bias = {0, 1};
  Values output(4);
  ASSERT_EQ(reference.Run(NormInferenceCall{{NormKind::kBatch, 2, 2, 1},
                                            1e-12f,
                                            input.data(),
                                            mean.data(),
                                            variance.data(),
                                            gain.data(),
                                            bias.data(),
                                            output.data()}),
            absl::OkStatus());
  EXPECT_EQ(output, (Values{0, 1, 5, 9}));
}

TEST(ReferenceLibrary, EmbeddingAddsPositionsThatStartAgainEachSequence) {
  ReferenceLibrary reference;
  const std::vector<int32_t> tokens = {1, 0, 1};
  const Values token_table = {1, 2, 3, 4}, position_table = {10, 20, 30, 40};
  Values output(6);
  ASSERT_EQ(reference.Run(EmbeddingCall{3, 2, 2, 2, tokens.data(), token_table.data(),
                                        position_table.data(), output.data()}),
            absl::OkStatus());
  EXPECT_EQ(output, (Values{13, 24, 31, 42, 13, 24}));
}

// Keys are all 0, so that a token sees itself and all before it alike.
TEST(ReferenceLibrary, AttentionOfEqualScoresIsTheRunningMeanOfTheValues) {
  ReferenceLibrary reference;
  const Values qkv = {1, 0, 2, 5, 0, 4, 7, 0, 9};  // three tokens of query, key, value
  Values probabilities(9), output(3);
  ASSERT_EQ(
      reference.Run(AttentionCall{{1, 3, 1, 1}, qkv.data(), probabilities.data(), output.data()}),
      absl::OkStatus());
  const float third = 1.0f / 3.0f;
  EXPECT_EQ(probabilities, (Values{1, 0, 0, 0.5f, 0.5f, 0, third, third, third}));
  EXPECT_FLOAT_EQ(output[0], 2);
  EXPECT_FLOAT_EQ(output[1], 3);
  EXPECT_FLOAT_EQ(output[2], 5);
}

TEST(ReferenceLibrary, CopyFloatsCopies) {
  ReferenceLibrary reference;
  const Values from = {1, 2, 3};
  Values to(3);
  ASSERT_EQ(reference.Run(CopyFloatsCall{from.data(), to.data(), 3}), absl::OkStatus());
  EXPECT_EQ(to, from);
}

}  // namespace
}  // namespace ringmaster
