#include "common/codec/kept_count.h"

#include <algorithm>
#include <cmath>

namespace ringmaster {

int64_t KeptCount(double density, int64_t count) {
  const double share = density * static_cast<double>(count);
  // 0.07 * 100 is a little above 7 in double precision and is meant to be 7.
  const double whole = std::round(share);
  const double kept = std::fabs(share - whole) <= 1e-9 * whole ? whole : std::ceil(share);
  return std::min(count, std::max(int64_t{1}, static_cast<int64_t>(kept)));
}

}  // namespace ringmaster
