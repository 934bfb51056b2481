#ifndef RINGMASTER_COMMON_ENGINE_CUDA_IPC_SUM_RANKS_H_
#define RINGMASTER_COMMON_ENGINE_CUDA_IPC_SUM_RANKS_H_

#include <cuda_runtime.h>

#include <cstdint>

#include "common/engine/cuda_ipc/ipc_offer.h"

namespace ringmaster {

// Device addresses by rank. A kernel's argument.
struct RankFloats {
  const float* of_rank[kIpcRanksMax];
};

// out[i] = ((of_rank[0][i] + of_rank[1][i]) + ...) over `ranks` of them, i < count. `out` may be
// one of the inputs. All of them begin at a multiple of 16 bytes. Queues it on `stream` and returns
// what the launch said.
cudaError_t LaunchSumRanks(const RankFloats& inputs, int32_t ranks, int64_t count, float* out,
                           cudaStream_t stream);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_CUDA_IPC_SUM_RANKS_H_
