#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

namespace {

// One token, one sequence, heads of odd widths, contexts around and across the sizes that libraries
// cut at.
std::vector<AttentionShape> AttentionShapes() {
  return {{1, 1, 1, 1},  {2, 1, 3, 5},   {1, 7, 1, 3},    {3, 8, 2, 4},   {2, 64, 4, 32},
          {1, 65, 2, 7}, {2, 33, 3, 16}, {1, 130, 1, 64}, {1, 128, 2, 8}, {0, 4, 2, 4}};
}

std::string Describe(const AttentionShape& shape) {
  return absl::StrCat("attention batch=", shape.batch, " context=", shape.context,
                      " heads=", shape.heads, " head_width=", shape.head_width);
}

int64_t Pairs(const AttentionShape& shape) {
  return shape.batch * shape.heads * shape.context * shape.context;
}
int64_t OutputElements(const AttentionShape& shape) {
  return shape.batch * shape.context * shape.width();
}

std::vector<std::vector<float>> Attend(KernelLibrary& kernels, const AttentionShape& shape,
                                       const std::vector<float>& qkv, int64_t offset) {
  Floats device_qkv(kernels, qkv, offset),
      probabilities = Floats::Poisoned(kernels, Pairs(shape), 2 * offset);
  Floats output = Floats::Poisoned(kernels, OutputElements(shape), offset);
  EXPECT_EQ(
      kernels.Run(AttentionCall{shape, device_qkv.data(), probabilities.data(), output.data()}),
      absl::OkStatus());
  return {probabilities.Download(), output.Download()};
}

}  // namespace

// Inputs in [-1, 1): scores up to sqrt(head_width), of head_width + 3 roundings; twice that, for
// the largest is taken off, is what a probability changes by, relatively; its own exponential, sum
// and quotient add context + 12.
TEST_P(KernelOpTest, AttentionAgreesWithTheReferenceAndSeesNoLaterToken) {
  for (const AttentionShape& shape : AttentionShapes()) {
    const std::vector<float> qkv = RandomFloats(3 * OutputElements(shape));
    const Outputs actual = Repeat(
        [&](KernelLibrary& kernels, int64_t offset) { return Attend(kernels, shape, qkv, offset); },
        Describe(shape));
    const Outputs expected = Attend(reference_, shape, qkv, 0);
    const double width = static_cast<double>(shape.head_width),
                 context = static_cast<double>(shape.context);
    const double roundings = 2 * (width + 3) * std::sqrt(width) + context + 12;
    // Later tokens have the probability 0, and so has its bound.
    ExpectWithin(actual[0], expected[0], expected[0], roundings * kRounding,
                 Describe(shape) + " probabilities");
    ExpectWithin(actual[1], expected[1], std::vector<float>(expected[1].size(), 1.0f),
                 (roundings + context) * kRounding, Describe(shape) + " output");
  }
}

// Scores far apart and all alike: one token gets everything, or all of them the same.
TEST_P(KernelOpTest, AttentionHoldsForLargeScoresAndForEqualOnes) {
  const AttentionShape shape{1, 20, 2, 4};
  std::vector<float> qkv = RandomFloats(3 * OutputElements(shape));
  for (float& value : qkv) value *= 60.0f;
  const std::vector<float> far = Attend(kernels(), shape, qkv, 0)[0];
  for (int64_t i = 0; i < Pairs(shape); i += shape.context) {
    double sum = 0;
    for (int64_t j = 0; j < shape.context; ++j) sum += far[i + j];
    EXPECT_NEAR(sum, 1.0, 32 * kRounding) << "row " << i / shape.context;
  }
  const std::vector<float> equal =
      Attend(kernels(), shape, std::vector<float>(qkv.size(), 0.5f), 0)[1];
  ExpectWithin(equal, std::vector<float>(equal.size(), 0.5f),
               std::vector<float>(equal.size(), 1.0f), 32 * kRounding, "attention of equal tokens");
}

namespace {

std::vector<float> AttendBackward(KernelLibrary& kernels, const AttentionShape& shape,
                                  const std::vector<float>& qkv,
                                  const std::vector<float>& probabilities,
                                  const std::vector<float>& output_gradient, int64_t offset) {
  Floats device_qkv(kernels, qkv, offset), shares(kernels, probabilities, offset);
  Floats device_gradient(kernels, output_gradient, 2 * offset);
  Floats qkv_gradient = Floats::Poisoned(kernels, 3 * OutputElements(shape), offset);
  Floats scratch = Floats::Poisoned(kernels, kernels.attention_scratch_floats(shape), offset);
  EXPECT_EQ(kernels.Run(AttentionBackwardCall{shape, device_qkv.data(), shares.data(),
                                              device_gradient.data(), qkv_gradient.data(),
                                              scratch.data()}),
            absl::OkStatus());
  scratch.Download();  // looks at its guards
  return qkv_gradient.Download();
}

// What the roundings of one element of qkv_gradient count relative to. With every input below 1, a
// probability's gradient and their mean are below head_width, so a score's is below 2 head_width
// times the probability. The sums over a row of probabilities are 1; those over a column, for keys
// and values, are taken as they are.
std::vector<float> GradientScale(const AttentionShape& shape,
                                 const std::vector<float>& probabilities) {
  std::vector<float> scale;
  const float of_scores = 2 * std::sqrt(static_cast<float>(shape.head_width));
  for (int64_t row = 0; row < shape.batch * shape.context; ++row) {
    const int64_t sequence = row / shape.context, token = row % shape.context;
    for (const int part : {0, 1, 2}) {
      for (int64_t head = 0; head < shape.heads; ++head) {
        double column = 0;
        for (int64_t i = 0; i < shape.context; ++i) {
          column +=
              probabilities[((sequence * shape.heads + head) * shape.context + i) * shape.context +
                            token];
        }
        const double bound = part == 0 ? of_scores : part == 1 ? of_scores * column : column;
        scale.insert(scale.end(), shape.head_width, static_cast<float>(bound));
      }
    }
  }
  return scale;
}

}  // namespace

// Products of head_width terms, a mean and a sum of `context` each, twice over for the difference.
TEST_P(KernelOpTest, AttentionBackwardAgreesWithTheReference) {
  for (const AttentionShape& shape : AttentionShapes()) {
    const std::vector<float> qkv = RandomFloats(3 * OutputElements(shape));
    const std::vector<float> gradient = RandomFloats(OutputElements(shape));
    const std::vector<float> probabilities = Attend(reference_, shape, qkv, 0)[0];
    const Outputs actual = Repeat(
        [&](KernelLibrary& kernels, int64_t offset) {
          return Outputs{AttendBackward(kernels, shape, qkv, probabilities, gradient, offset)};
        },
        Describe(shape));
    const std::vector<float> expected =
        AttendBackward(reference_, shape, qkv, probabilities, gradient, 0);
    const double roundings = static_cast<double>(shape.head_width + 2 * shape.context) + 12;
    ExpectWithin(actual[0], expected, GradientScale(shape, probabilities), roundings * kRounding,
                 Describe(shape));
  }
}

}  // namespace ringmaster
