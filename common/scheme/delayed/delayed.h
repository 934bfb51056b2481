#ifndef RINGMASTER_COMMON_SCHEME_DELAYED_DELAYED_H_
#define RINGMASTER_COMMON_SCHEME_DELAYED_DELAYED_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// An all-reduce whose sum of step t is applied after the gradients of step t+1 are computed, so
// that it has a whole step for its way. Every gradient is one update stale. Source: Pipe-SGD, Li et
// al. 2018, with a pipeline of width 2; also "one-step delayed" SGD.
extern const Scheme kDelayedScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_DELAYED_DELAYED_H_
