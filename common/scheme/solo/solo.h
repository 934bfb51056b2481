#ifndef RINGMASTER_COMMON_SCHEME_SOLO_SOLO_H_
#define RINGMASTER_COMMON_SCHEME_SOLO_SOLO_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// N workers that exchange nothing: the ceiling of efficiency.
extern const Scheme kSoloScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_SOLO_SOLO_H_
