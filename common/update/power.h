#ifndef RINGMASTER_COMMON_UPDATE_POWER_H_
#define RINGMASTER_COMMON_UPDATE_POWER_H_

#include <cstdint>

namespace ringmaster {

// base^exponent for exponent >= 0, by repeated squaring in double precision: the same bits on every
// machine, which the standard library does not promise. Pure.
inline double Power(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return result;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_POWER_H_
