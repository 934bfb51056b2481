#ifndef RINGMASTER_WORKER_LOOP_CREATE_REPLICA_H_
#define RINGMASTER_WORKER_LOOP_CREATE_REPLICA_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "common/trace/trace.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/loop_replica.h"

namespace ringmaster {

class RunSpec;

// The replica of worker `rank`, with the update rule of the resolved `spec`, whose errors it has:
// where `kernels` work on a device, and the worker makes updates, in that device's memory, else on
// the host. Weights that servers update come over the host and change there.
// `kernels`, `layout` and `times`, to which updates add, outlive it.
absl::StatusOr<std::unique_ptr<LoopReplica>> CreateReplica(KernelLibrary& kernels,
                                                           const RunSpec& spec,
                                                           const ParamLayout& layout, int32_t rank,
                                                           std::vector<float> weights,
                                                           PhaseTimes& times);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_CREATE_REPLICA_H_
