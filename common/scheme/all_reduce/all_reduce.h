#ifndef RINGMASTER_COMMON_SCHEME_ALL_REDUCE_ALL_REDUCE_H_
#define RINGMASTER_COMMON_SCHEME_ALL_REDUCE_ALL_REDUCE_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// Every worker holds the weights, and gradients are summed by a collective.
extern const Scheme kAllReduceScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_ALL_REDUCE_ALL_REDUCE_H_
