#include "tests/worker/kernels/comparisons.h"

#include <cmath>
#include <cstring>

#include "gtest/gtest.h"

namespace ringmaster {

std::vector<float> Absolute(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  return values;
}

void ExpectSame(const std::vector<float>& actual, const std::vector<float>& expected,
                const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    const bool same =
        actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i]));
    ASSERT_TRUE(same) << what << ": element " << i << " is " << actual[i] << ", expected "
                      << expected[i];
  }
}

void ExpectWithin(const std::vector<float>& actual, const std::vector<float>& expected,
                  const std::vector<float>& scale, double factor, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::fabs(static_cast<double>(actual[i]) - expected[i]);
    ASSERT_LE(error, factor * scale[i])
        << what << ": element " << i << " is " << actual[i] << ", expected " << expected[i];
  }
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace ringmaster
