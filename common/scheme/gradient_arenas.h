#ifndef RINGMASTER_COMMON_SCHEME_GRADIENT_ARENAS_H_
#define RINGMASTER_COMMON_SCHEME_GRADIENT_ARENAS_H_

#include <cstdint>

#include "common/scheme/scheme.h"

namespace ringmaster {

// Of how many steps a worker keeps gradients at once, in an arena each: of its own step, and of
// those before that are still on their way, to be summed late or to servers that it does not wait
// for. Pure.
inline int32_t GradientArenas(const SchemeTraits& traits) {
  const bool overlaps = traits.servers > 0 && traits.updates == Updates::kOnArrival &&
                        !traits.staleness_bound.has_value() && traits.local_steps == 0;
  return overlaps ? 2 : 1 + traits.delay;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_GRADIENT_ARENAS_H_
