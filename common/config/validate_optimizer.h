#ifndef RINGMASTER_COMMON_CONFIG_VALIDATE_OPTIMIZER_H_
#define RINGMASTER_COMMON_CONFIG_VALIDATE_OPTIMIZER_H_

#include "common/base/problems.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The part of Validate that concerns `optimizer`: fields that are out of range, that the optimizer
// does not have, or that the strategy cannot do.
void CheckOptimizer(const RunSpec& resolved, Problems* problems);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_VALIDATE_OPTIMIZER_H_
