// out[i] = ((in[0][i] + in[1][i]) + ...) over the ranks, in their order. In place: each element is
// read and written by one thread alone. Bounded by memory: four floats an access.

#include <algorithm>

#include "common/base/partition.h"
#include "common/engine/cuda_ipc/sum_ranks.h"

namespace ringmaster {
namespace {

constexpr int kThreads = 256;
// A few on each multiprocessor of any device; the kernel strides over what is left.
constexpr int64_t kBlocksMax = 2048;

__device__ inline float4 Sum(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__global__ void __launch_bounds__(kThreads)
    SumRanksKernel(RankFloats inputs, int ranks, int64_t count, float* out) {
  const int64_t first = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  const int64_t stride = gridDim.x * static_cast<int64_t>(blockDim.x);
  const int64_t quads = count / 4;
  for (int64_t quad = first; quad < quads; quad += stride) {
    float4 sum = reinterpret_cast<const float4*>(inputs.of_rank[0])[quad];
    for (int rank = 1; rank < ranks; ++rank) {
      sum = Sum(sum, reinterpret_cast<const float4*>(inputs.of_rank[rank])[quad]);
    }
    reinterpret_cast<float4*>(out)[quad] = sum;
  }
  for (int64_t i = 4 * quads + first; i < count; i += stride) {
    float sum = inputs.of_rank[0][i];
    for (int rank = 1; rank < ranks; ++rank) sum += inputs.of_rank[rank][i];
    out[i] = sum;
  }
}

}  // namespace

cudaError_t LaunchSumRanks(const RankFloats& inputs, int32_t ranks, int64_t count, float* out,
                           cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  const auto blocks =
      static_cast<unsigned>(std::min(CeilDiv(CeilDiv(count, 4), kThreads), kBlocksMax));
  SumRanksKernel<<<blocks, kThreads, 0, stream>>>(inputs, ranks, count, out);
  return cudaGetLastError();
}

}  // namespace ringmaster
