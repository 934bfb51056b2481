#ifndef RINGMASTER_TESTS_WORKER_KERNELS_COMPARISONS_H_
#define RINGMASTER_TESTS_WORKER_KERNELS_COMPARISONS_H_

#include <limits>
#include <string>
#include <vector>

namespace ringmaster {

// Half a unit in the last place, relative: what one rounding costs.
constexpr double kRounding = 0x1p-24;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> Absolute(std::vector<float> values);

// Fails the test unless all are equal as numbers, or both NaN.
void ExpectSame(const std::vector<float>& actual, const std::vector<float>& expected,
                const std::string& what);

// Fails the test unless |actual - expected| <= factor * scale[i]; NaN fails.
void ExpectWithin(const std::vector<float>& actual, const std::vector<float>& expected,
                  const std::vector<float>& scale, double factor, const std::string& what);

bool SameBits(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_KERNELS_COMPARISONS_H_
