#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_COLUMN_SUMS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_COLUMN_SUMS_H_

#include <algorithm>
#include <cstdint>

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {

// Sums down the columns of a matrix, kSums of them at once. A matrix of few columns and many rows,
// as a bias gradient or a layer norm's gain gradient is, would keep a few blocks busy; so its rows
// are split among more of them, whose partial sums a second kernel adds in order. How it is split
// depends on the sizes alone.

// Where the sums go, each [cols].
template <int kSums>
struct ColumnSums {
  float* sums[kSums];
};

constexpr int kTileCols = 32;
constexpr int kTileRows = kBlockThreads / kTileCols;
constexpr int64_t kSplitRowsMin = 64;      // below this a block does little but start
constexpr int64_t kSplitPartsMax = 64;     // they are added one after the other
constexpr int64_t kSplitBlocksMax = 1024;  // several on each of a large device's multiprocessors

static_assert(kSplitBlocksMax * kTileCols * kColumnSumsMax <= kPartialFloats,
              "partial sums do not fit their memory");

// A block sums a part of the rows of 32 columns: each of its 8 rows of threads every 8th row of the
// part, then thread row 0 adds the eight. terms(row, col, values) gives the kSums terms of an
// element. y runs over the parts; the sums of part y go to `partials`[y][kSums][cols], or without
// partials (and with one part) to where they belong.
template <int kSums, typename Terms>
__global__ void __launch_bounds__(kBlockThreads)
    SumColumnsKernel(Terms terms, int64_t rows, int64_t cols, int64_t part_rows, float* partials,
                     ColumnSums<kSums> result) {
  __shared__ float of_thread_row[kSums][kTileRows][kTileCols];
  const int64_t row_begin = blockIdx.y * part_rows + threadIdx.y;
  const int64_t row_end = min(rows, (blockIdx.y + 1) * part_rows);
  for (int64_t begin = blockIdx.x * static_cast<int64_t>(kTileCols); begin < cols;
       begin += gridDim.x * static_cast<int64_t>(kTileCols)) {
    const int64_t col = begin + threadIdx.x;
    float sums[kSums] = {};
    if (col < cols) {
#pragma unroll 4
      for (int64_t row = row_begin; row < row_end; row += kTileRows) {
        float values[kSums];
        terms(row, col, values);
#pragma unroll
        for (int k = 0; k < kSums; ++k) sums[k] += values[k];
      }
    }
#pragma unroll
    for (int k = 0; k < kSums; ++k) of_thread_row[k][threadIdx.y][threadIdx.x] = sums[k];
    __syncthreads();
    if (threadIdx.y == 0 && col < cols) {
#pragma unroll
      for (int k = 0; k < kSums; ++k) {
        for (int slice = 1; slice < kTileRows; ++slice)
          sums[k] += of_thread_row[k][slice][threadIdx.x];
        float* to =
            partials == nullptr ? result.sums[k] : partials + (blockIdx.y * kSums + k) * cols;
        to[col] = sums[k];
      }
    }
    __syncthreads();
  }
}

template <int kSums>
__global__ void __launch_bounds__(kBlockThreads)
    AddPartialsKernel(const float* partials, int64_t parts, int64_t cols,
                      ColumnSums<kSums> result) {
  for (int64_t col = ThreadX(); col < cols; col += StrideX()) {
#pragma unroll
    for (int k = 0; k < kSums; ++k) {
      float sum = 0.0f;
      for (int64_t part = 0; part < parts; ++part) sum += partials[(part * kSums + k) * cols + col];
      result.sums[k][col] = sum;
    }
  }
}

// Queues the sums over `rows` (0: they are 0) of `cols` > 0 columns. `partials`: kPartialFloats
// floats on the device, free for this stream's use.
template <int kSums, typename Terms>
cudaError_t LaunchColumnSums(const Terms& terms, int64_t rows, int64_t cols,
                             const ColumnSums<kSums>& result, float* partials,
                             cudaStream_t stream) {
  static_assert(kSums <= kColumnSumsMax);
  const int64_t tiles = CeilDiv(cols, kTileCols);
  const int64_t parts_max = std::clamp<int64_t>(kSplitBlocksMax / tiles, 1, kSplitPartsMax);
  const int64_t parts = std::clamp<int64_t>(CeilDiv(rows, kSplitRowsMin), 1, parts_max);
  const dim3 grid(static_cast<unsigned>(std::min(tiles, kGridBlocksMax)),
                  static_cast<unsigned>(parts));
  SumColumnsKernel<kSums, Terms><<<grid, dim3(kTileCols, kTileRows), 0, stream>>>(
      terms, rows, cols, CeilDiv(rows, parts), parts == 1 ? nullptr : partials, result);
  if (parts > 1) {
    AddPartialsKernel<kSums>
        <<<GridFor(cols), kBlockThreads, 0, stream>>>(partials, parts, cols, result);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_COLUMN_SUMS_H_
