#include "worker/loop/create_replica.h"

#include <utility>

#include "common/base/status_macros.h"
#include "worker/loop/device_replica.h"
#include "worker/loop/host_replica.h"
#include "worker/loop/update_share.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<LoopReplica>> CreateReplica(KernelLibrary& kernels,
                                                           const RunSpec& spec,
                                                           const ParamLayout& layout, int32_t rank,
                                                           std::vector<float> weights,
                                                           PhaseTimes& times) {
  RM_ASSIGN_OR_RETURN(const UpdateShare share, UpdateShareOf(spec, layout, rank));
  if (kernels.place() == Place::kDevice && !share.slices.empty())
    return DeviceReplica::Create(kernels, spec, layout, rank, weights, times);
  return HostReplica::Create(spec, layout, rank, std::move(weights), times);
}

}  // namespace ringmaster
