#include "worker/kernels/cpu/loops/loops.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster::cpu {
namespace {

// Numbers of all sizes that matter, those whose cubes overflow, and those that are none.
std::vector<float> Inputs(int64_t count) {
  Random random(11);
  std::vector<float> values(count);
  for (float& value : values) value = 24.0f * random.Uniform() - 12.0f;
  const std::vector<float> special = {0.0f,    -0.0f,  1e-30f,
                                      -1e-30f, 3e4f,   -3e4f,
                                      1e20f,   -1e20f, std::numeric_limits<float>::quiet_NaN()};
  for (size_t i = 0; i < special.size() && 2 * i < values.size(); ++i) values[2 * i] = special[i];
  return values;
}

void ExpectSameBits(const std::vector<float>& wide, const std::vector<float>& narrow,
                    const char* what) {
  for (size_t i = 0; i < narrow.size(); ++i) {
    if (std::isnan(narrow[i]) && std::isnan(wide[i])) continue;
    EXPECT_EQ(std::memcmp(&wide[i], &narrow[i], sizeof(float)), 0)
        << what << " element " << i << " of " << narrow.size() << ": " << wide[i] << " and "
        << narrow[i];
  }
}

TEST(GeluLoops, WideAndNarrowVectorsGiveTheSameBits) {
  const Loops &narrow_loops = Avx2Loops(), *const wide_loops = Avx512Loops();
  if (wide_loops == nullptr) GTEST_SKIP() << "this processor has no AVX-512";
  for (const int64_t cols : {1, 7, 8, 15, 16, 17, 512, 1031}) {
    for (const bool with_bias : {false, true}) {
      const std::vector<float> input = Inputs(3 * cols), bias = Inputs(cols);
      std::vector<float> wide_input = input, narrow_input = input, wide(input.size()),
                         narrow(input.size());
      wide_loops->gelu(
          {wide_input.data(), 3, cols, with_bias ? bias.data() : nullptr, wide.data()});
      narrow_loops.gelu(
          {narrow_input.data(), 3, cols, with_bias ? bias.data() : nullptr, narrow.data()});
      ExpectSameBits(wide_input, narrow_input, "biased input");
      ExpectSameBits(wide, narrow, "gelu");
      std::vector<float> wide_gradient(input.size(), 0.75f), narrow_gradient = wide_gradient;
      wide_loops->gelu_backward({wide_input.data(), wide_gradient.data(), 3 * cols});
      narrow_loops.gelu_backward({narrow_input.data(), narrow_gradient.data(), 3 * cols});
      ExpectSameBits(wide_gradient, narrow_gradient, "gelu backward");
    }
  }
}

}  // namespace
}  // namespace ringmaster::cpu
