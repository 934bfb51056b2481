#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCH_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCH_H_

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/base/partition.h"

namespace ringmaster {

constexpr int kBlockThreads = 256;
// of each dimension; the kernels stride over what is left
constexpr int64_t kGridBlocksMax = 65535;

// The grid for `count` elements, one a thread; count > 0.
inline dim3 GridFor(int64_t count) {
  return dim3(static_cast<unsigned>(std::min(CeilDiv(count, kBlockThreads), kGridBlocksMax)));
}

// The grid for a matrix [rows, cols], one element a thread: x runs along a row, y over the rows;
// both > 0.
inline dim3 GridFor(int64_t rows, int64_t cols) {
  return dim3(GridFor(cols).x, static_cast<unsigned>(std::min(rows, kGridBlocksMax)));
}

// The grid for `count` elements, four neighbours a thread; count > 0.
inline dim3 GridForQuads(int64_t count) { return GridFor(CeilDiv(count, 4)); }

// Whether kernels that divide indices up to `count` may do so in 32 bits, which is several times as
// fast. The margin is for the stride that the last round of a loop adds.
inline bool FitsInt32(int64_t count) {
  return count <= std::numeric_limits<int32_t>::max() - kGridBlocksMax * kBlockThreads;
}

// The same for kernels that take four elements a thread, whose last round adds four times as much.
inline bool QuadsFitInt32(int64_t count) {
  return count <= std::numeric_limits<int32_t>::max() - 4 * kGridBlocksMax * kBlockThreads;
}

// Where a thread starts, and how far it steps, along x.
__device__ inline int64_t ThreadX() {
  return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
}
__device__ inline int64_t StrideX() { return gridDim.x * static_cast<int64_t>(blockDim.x); }

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCH_H_
