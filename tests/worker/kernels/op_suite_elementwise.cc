#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

namespace {

std::vector<int64_t> Counts() { return {0, 1, 7, 8, 64, 1031, 65537}; }

}  // namespace

TEST_P(KernelOpTest, ReluBackwardPassesExactlyTheGradientsOfPositiveOutputs) {
  for (const int64_t count : Counts()) {
    std::vector<float> output = RandomFloats(count), gradient = RandomFloats(count);
    for (size_t i = 0; i < output.size(); i += 3) output[i] = i % 2 == 0 ? 0.0f : kNan;
    Floats device_output(kernels(), output, RandomOffset()),
        device_gradient(kernels(), gradient, RandomOffset());
    ASSERT_EQ(kernels().Run(ReluBackwardCall{device_output.data(), device_gradient.data(), count}),
              absl::OkStatus());
    ASSERT_EQ(reference_.Run(ReluBackwardCall{output.data(), gradient.data(), count}),
              absl::OkStatus());
    ExpectSame(device_gradient.Download(), gradient, absl::StrCat("relu backward count=", count));
  }
}

TEST_P(KernelOpTest, ReluZeroesExactlyTheNegativeAndKeepsNan) {
  for (const int64_t count : Counts()) {
    std::vector<float> data = RandomFloats(count);
    for (size_t i = 0; i < data.size(); i += 5) data[i] = i % 2 == 0 ? -0.0f : kNan;
    Floats device_data(kernels(), data, RandomOffset());
    ASSERT_EQ(kernels().Run(ReluCall{device_data.data(), count}), absl::OkStatus());
    ASSERT_EQ(reference_.Run(ReluCall{data.data(), count}), absl::OkStatus());
    ExpectSame(device_data.Download(), data, absl::StrCat("relu count=", count));
  }
}

TEST_P(KernelOpTest, AddAddsEveryElementOnce) {
  for (const int64_t count : Counts()) {
    const std::vector<float> input = RandomFloats(count);
    std::vector<float> output = RandomFloats(count);
    Floats device_input(kernels(), input, RandomOffset()),
        device_output(kernels(), output, RandomOffset());
    ASSERT_EQ(kernels().Run(AddCall{device_input.data(), device_output.data(), count}),
              absl::OkStatus());
    ASSERT_EQ(reference_.Run(AddCall{input.data(), output.data(), count}), absl::OkStatus());
    ExpectSame(device_output.Download(), output, absl::StrCat("add count=", count));
  }
}

TEST_P(KernelOpTest, CopyFloatsCopiesExactlyItsRange) {
  for (const int64_t count : Counts()) {
    const std::vector<float> from = RandomFloats(count);
    Floats device_from(kernels(), from, RandomOffset()),
        to = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().Run(CopyFloatsCall{device_from.data(), to.data(), count}),
              absl::OkStatus());
    ExpectSame(to.Download(), from, absl::StrCat("copy floats count=", count));
  }
}

TEST_P(KernelOpTest, FillZeroFillsExactlyItsRange) {
  for (const int64_t count : {0, 1, 13, 4099}) {
    Floats data = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().Run(FillZeroCall{data.data(), count}), absl::OkStatus());
    ExpectSame(data.Download(), std::vector<float>(count, 0.0f),
               absl::StrCat("fill zero count=", count));
  }
}

namespace {

struct GeluCase {
  int64_t rows, cols;
  bool bias;
};

// Numbers of all sizes that matter, and those whose cubes overflow.
std::vector<float> GeluInputs(std::vector<float> values) {
  for (size_t i = 0; i < values.size(); ++i)
    values[i] *= i % 3 == 0 ? 1.0f : i % 3 == 1 ? 6.0f : 20.0f;
  const std::vector<float> special = {0.0f,   -0.0f, 1e-30f, -5.5f, 11.0f,
                                      -11.0f, 3e4f,  -3e4f,  1e20f, -1e20f};
  if (values.size() > 2 * special.size())
    std::copy(special.begin(), special.end(), values.begin() + 3);
  return values;
}

}  // namespace

// (1 + tanh u) / 2 is good to a few roundings of 1, whichever way it is made; u itself is rounded
// five times, and |u| times the slope of tanh is below 0.3.
TEST_P(KernelOpTest, GeluAgreesWithTheReferenceAndLeavesTheBiasedInput) {
  for (const GeluCase& sizes :
       {GeluCase{1, 1, false}, {3, 7, true}, {17, 33, true}, {5, 512, true}, {9, 131, false}}) {
    const std::string what =
        absl::StrCat("gelu rows=", sizes.rows, " cols=", sizes.cols, " bias=", sizes.bias);
    const std::vector<float> input = GeluInputs(RandomFloats(sizes.rows * sizes.cols));
    const std::vector<float> bias = RandomFloats(sizes.cols);
    const Work operation = [&](KernelLibrary& kernels, int64_t offset) {
      Floats x(kernels, input, offset), device_bias(kernels, bias, offset);
      Floats output = Floats::Poisoned(kernels, x.count(), offset);
      EXPECT_EQ(kernels.Run(GeluCall{x.data(), sizes.rows, sizes.cols,
                                     sizes.bias ? device_bias.data() : nullptr, output.data()}),
                absl::OkStatus());
      return Outputs{x.Download(), output.Download()};
    };
    const Outputs actual = Repeat(operation, what), expected = operation(reference_, 0);
    ExpectSame(actual[0], expected[0], what);
    ExpectWithin(actual[1], expected[1], Absolute(expected[0]), 16 * kRounding, what);
  }
}

// The slope is at most 1.13; the roundings of 1 - tanh(u)^2, where tanh is all but 1, count x u' /
// 2 times, below 20.
TEST_P(KernelOpTest, GeluBackwardAgreesWithTheReference) {
  for (const int64_t count : Counts()) {
    const std::string what = absl::StrCat("gelu backward count=", count);
    const std::vector<float> input = GeluInputs(RandomFloats(count)),
                             gradient = RandomFloats(count);
    const Work operation = [&](KernelLibrary& kernels, int64_t offset) {
      Floats x(kernels, input, offset), slope(kernels, gradient, 2 * offset);
      EXPECT_EQ(kernels.Run(GeluBackwardCall{x.data(), slope.data(), count}), absl::OkStatus());
      return Outputs{slope.Download()};
    };
    ExpectWithin(Repeat(operation, what)[0], operation(reference_, 0)[0], Absolute(gradient),
                 64 * kRounding, what);
  }
}

TEST_P(KernelOpTest, DropoutGivesTheReferencesMaskAndValues) {
  for (const int64_t count : Counts()) {
    for (const float rate : {0.0f, 0.1f, 0.5f, 0.999f}) {
      const std::string what = absl::StrCat("dropout count=", count, " rate=", rate);
      std::vector<float> data = RandomFloats(count);
      if (count > 100) data[count / 2] = kNan;
      const uint64_t seed = random_.Next();
      const Work operation = [&](KernelLibrary& kernels, int64_t offset) {
        Floats device_data(kernels, data, offset);
        EXPECT_EQ(kernels.Run(DropoutCall{device_data.data(), count, rate, seed}),
                  absl::OkStatus());
        return Outputs{device_data.Download()};
      };
      const std::vector<float> actual = Repeat(operation, what)[0];
      ExpectSame(actual, operation(reference_, 0)[0], what);
      if (rate == 0.0f) ExpectSame(actual, data, what);
    }
  }
}

// The gradient takes the same call: what was dropped gets none, what was kept the same factor.
TEST_P(KernelOpTest, DropoutKeepsItsShareAndTheSameElementsInTheGradient) {
  constexpr int64_t kCount = 100000;
  for (const float rate : {0.1f, 0.5f}) {
    const uint64_t seed = random_.Next();
    Floats ones(kernels(), std::vector<float>(kCount, 1.0f)),
        twos(kernels(), std::vector<float>(kCount, 2.0f));
    Floats others(kernels(), std::vector<float>(kCount, 1.0f));
    ASSERT_EQ(kernels().Run(DropoutCall{ones.data(), kCount, rate, seed}), absl::OkStatus());
    ASSERT_EQ(kernels().Run(DropoutCall{twos.data(), kCount, rate, seed}), absl::OkStatus());
    ASSERT_EQ(kernels().Run(DropoutCall{others.data(), kCount, rate, seed + 1}), absl::OkStatus());
    const std::vector<float> one = ones.Download(), two = twos.Download(),
                             other = others.Download();
    int64_t kept = 0, kept_by_both = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(two[i], 2.0f * one[i]) << i;
      ASSERT_TRUE(one[i] == 0.0f || one[i] == 1.0f / (1.0f - rate)) << one[i];
      kept += one[i] != 0.0f;
      kept_by_both += one[i] != 0.0f && other[i] != 0.0f;
    }
    const auto expect_share = [&](int64_t hits, double share) {
      EXPECT_LE(std::fabs(hits - share * kCount), 5.0 * std::sqrt(kCount * share * (1 - share)))
          << hits << " of " << kCount << " at rate " << rate;
    };
    expect_share(kept, 1.0 - rate);
    expect_share(kept_by_both, (1.0 - rate) * (1.0 - rate));
  }
}

}  // namespace ringmaster
