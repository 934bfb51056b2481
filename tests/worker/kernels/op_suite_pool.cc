#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Bytes = DeviceArray<uint8_t>;

namespace {

struct PlaneCase {
  int64_t planes, height, width;
};

std::vector<PlaneCase> PlaneCases() {
  return {{1, 2, 2},  {3, 4, 6},  {5, 24, 24}, {7, 8, 8},
          {2, 6, 14}, {2, 2, 34}, {1, 10, 2},  {0, 4, 4}};
}

}  // namespace

TEST_P(KernelOpTest, MaxPoolTakesTheFirstLargest) {
  for (const PlaneCase& sizes : PlaneCases()) {
    const std::string what =
        absl::StrCat("max pool ", sizes.planes, "x", sizes.height, "x", sizes.width);
    const int64_t count = sizes.planes * sizes.height * sizes.width;
    // Few different values, so that windows have ties.
    std::vector<float> input(count);
    for (float& value : input) value = static_cast<float>(random_.Below(4)) - 2.0f;
    std::vector<float> expected(count / 4);
    std::vector<uint8_t> expected_argmax(count / 4);
    Floats device_input(kernels(), input, RandomOffset());
    Floats output = Floats::Poisoned(kernels(), count / 4, RandomOffset());
    Bytes argmax = Bytes::Poisoned(kernels(), count / 4, RandomOffset());
    ASSERT_EQ(kernels().Run(MaxPoolCall{sizes.planes, sizes.height, sizes.width,
                                        device_input.data(), output.data(), argmax.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.Run(MaxPoolCall{sizes.planes, sizes.height, sizes.width, input.data(),
                                         expected.data(), expected_argmax.data()}),
              absl::OkStatus());
    ExpectSame(output.Download(), expected, what);
    EXPECT_EQ(argmax.Download(), expected_argmax) << what;
  }
}

TEST_P(KernelOpTest, MaxPoolBackwardOverwritesTheWholeInputGradient) {
  for (const PlaneCase& sizes : PlaneCases()) {
    const int64_t count = sizes.planes * sizes.height * sizes.width;
    const std::vector<float> gradient = RandomFloats(count / 4);
    std::vector<uint8_t> argmax(count / 4);
    for (uint8_t& position : argmax) position = static_cast<uint8_t>(random_.Below(4));
    std::vector<float> expected(count);
    Floats device_gradient(kernels(), gradient, RandomOffset());
    Bytes device_argmax(kernels(), argmax, RandomOffset());
    Floats input_gradient = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().Run(MaxPoolBackwardCall{sizes.planes, sizes.height, sizes.width,
                                                device_gradient.data(), device_argmax.data(),
                                                input_gradient.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.Run(MaxPoolBackwardCall{sizes.planes, sizes.height, sizes.width,
                                                 gradient.data(), argmax.data(), expected.data()}),
              absl::OkStatus());
    ExpectSame(
        input_gradient.Download(), expected,
        absl::StrCat("max pool backward ", sizes.planes, "x", sizes.height, "x", sizes.width));
  }
}

TEST_P(KernelOpTest, SwapAxesMovesEveryElement) {
  for (const PlaneCase& sizes :
       {PlaneCase{1, 1, 1}, {3, 5, 7}, {50, 32, 16}, {2, 3, 1}, {4, 1, 9}, {3, 2, 785}}) {
    const int64_t count = sizes.planes * sizes.height * sizes.width;
    const std::vector<float> input = RandomFloats(count);
    std::vector<float> expected(count);
    Floats device_input(kernels(), input, RandomOffset());
    Floats output = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().Run(SwapAxesCall{sizes.planes, sizes.height, sizes.width,
                                         device_input.data(), output.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.Run(SwapAxesCall{sizes.planes, sizes.height, sizes.width, input.data(),
                                          expected.data()}),
              absl::OkStatus());
    ExpectSame(output.Download(), expected,
               absl::StrCat("swap axes ", sizes.planes, "x", sizes.height, "x", sizes.width));
  }
}

// n - 1 additions and a division, relative to the mean of the magnitudes.
TEST_P(KernelOpTest, AveragePoolAgreesWithTheReference) {
  for (const auto& [planes, pixels] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {3, 7}, {64, 64}, {5, 1031}, {2, 9}, {0, 4}}) {
    const std::string what = absl::StrCat("average pool planes=", planes, " pixels=", pixels);
    const std::vector<float> values = RandomFloats(planes * pixels);
    const auto pool = [planes = planes, pixels = pixels](const std::vector<float>& of) {
      return [of, planes, pixels](KernelLibrary& kernels, int64_t offset) {
        Floats input(kernels, of, offset), output = Floats::Poisoned(kernels, planes, offset);
        EXPECT_EQ(kernels.Run(AveragePoolCall{planes, pixels, input.data(), output.data()}),
                  absl::OkStatus());
        return Outputs{output.Download()};
      };
    };
    const std::vector<float> scale = pool(Absolute(values))(reference_, 0)[0];
    ExpectWithin(Repeat(pool(values), what)[0], pool(values)(reference_, 0)[0], scale,
                 static_cast<double>(pixels + 2) * kRounding, what);
  }
}

TEST_P(KernelOpTest, AveragePoolBackwardOverwritesEveryPixelWithItsShare) {
  for (const auto& [planes, pixels] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 7}, {64, 64}, {5, 1031}, {0, 4}}) {
    const std::vector<float> gradient = RandomFloats(planes);
    std::vector<float> expected(planes * pixels);
    Floats device_gradient(kernels(), gradient, RandomOffset());
    Floats input_gradient = Floats::Poisoned(kernels(), planes * pixels, RandomOffset());
    ASSERT_EQ(kernels().Run(AveragePoolBackwardCall{planes, pixels, device_gradient.data(),
                                                    input_gradient.data()}),
              absl::OkStatus());
    ASSERT_EQ(
        reference_.Run(AveragePoolBackwardCall{planes, pixels, gradient.data(), expected.data()}),
        absl::OkStatus());
    // A division, or a product with the rounded reciprocal.
    ExpectWithin(input_gradient.Download(), expected, Absolute(expected), 3 * kRounding,
                 absl::StrCat("average pool backward planes=", planes, " pixels=", pixels));
  }
}

}  // namespace ringmaster
