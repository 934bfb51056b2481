#ifndef RINGMASTER_COMMON_SCHEME_SHARDED_OPTIMIZER_SHARDED_OPTIMIZER_H_
#define RINGMASTER_COMMON_SCHEME_SHARDED_OPTIMIZER_SHARDED_OPTIMIZER_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// Gradients are summed by the first half of the ring, each worker updates the chunks whose sums it
// is left with, and the second half of the ring brings the updated weights to all. A worker keeps
// 1/N of the optimizer's state. Source: ZeRO, stage 1, Rajbhandari et al. 2020, section 5.1.
extern const Scheme kShardedOptimizerScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_SHARDED_OPTIMIZER_SHARDED_OPTIMIZER_H_
