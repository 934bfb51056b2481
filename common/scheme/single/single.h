#ifndef RINGMASTER_COMMON_SCHEME_SINGLE_SINGLE_H_
#define RINGMASTER_COMMON_SCHEME_SINGLE_SINGLE_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// One worker computes the global batch alone: the reference trajectory.
extern const Scheme kSingleScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_SINGLE_SINGLE_H_
