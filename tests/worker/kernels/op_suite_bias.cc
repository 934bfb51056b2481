#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

TEST_P(KernelOpTest, AddBiasGivesTheReferencesValuesAndKeepsNan) {
  for (const auto& [rows, cols] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 7}, {32, 500}, {5, 1031}}) {
    for (int variant = 0; variant < 4; ++variant) {
      const BiasAxis axis = variant % 2 != 0 ? BiasAxis::kPerRow : BiasAxis::kPerColumn;
      const std::string what =
          absl::StrCat("bias rows=", rows, " cols=", cols, " variant=", variant);
      std::vector<float> data = RandomFloats(rows * cols);
      data[random_.Below(data.size())] = kNan;
      const std::vector<float> bias = RandomFloats(axis == BiasAxis::kPerRow ? rows : cols);
      Floats device_data(kernels(), data, RandomOffset()),
          device_bias(kernels(), bias, RandomOffset());
      BiasCall call{device_data.data(), rows, cols, device_bias.data(), axis, variant / 2 != 0};
      ASSERT_EQ(kernels().Run(call), absl::OkStatus()) << what;
      call.data = data.data();
      call.bias = bias.data();
      ASSERT_EQ(reference_.Run(call), absl::OkStatus());
      ExpectSame(device_data.Download(), data, what);
    }
  }
}

// n terms in any order: n - 1 roundings relative to the sum of absolute terms.
TEST_P(KernelOpTest, BiasGradientAgreesWithTheReference) {
  for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {3, 7}, {32, 500}, {20, 4613}, {129, 31}, {2, 0}}) {
    for (const BiasAxis axis : {BiasAxis::kPerColumn, BiasAxis::kPerRow}) {
      const bool per_row = axis == BiasAxis::kPerRow;
      const std::string what =
          absl::StrCat("bias gradient rows=", rows, " cols=", cols, " per_row=", per_row);
      const std::vector<float> gradient = RandomFloats(rows * cols), absolute = Absolute(gradient);
      Floats device_gradient(kernels(), gradient, RandomOffset());
      Floats device_sums = Floats::Poisoned(kernels(), per_row ? rows : cols, RandomOffset());
      ASSERT_EQ(kernels().Run(
                    BiasGradientCall{device_gradient.data(), rows, cols, device_sums.data(), axis}),
                absl::OkStatus());
      std::vector<float> expected(device_sums.count()), scale(device_sums.count());
      ASSERT_EQ(
          reference_.Run(BiasGradientCall{gradient.data(), rows, cols, expected.data(), axis}),
          absl::OkStatus());
      ASSERT_EQ(reference_.Run(BiasGradientCall{absolute.data(), rows, cols, scale.data(), axis}),
                absl::OkStatus());
      ExpectWithin(device_sums.Download(), expected, scale,
                   static_cast<double>(per_row ? cols : rows) * kRounding, what);
    }
  }
}

}  // namespace ringmaster
