// token_gradient[v] = the sum of output_gradient[r] over the rows with tokens[r] = v (=, or += with
// `accumulate`), and position_gradient[p] = the sum over rows r = p mod context (=). Both run over
// ascending r in one thread an element. A token outside 0..vocabulary-1 adds to no row and leaves
// its row + 1 in *bad_token_row.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"
#include "worker/kernels/cublas/team.h"

namespace ringmaster {
namespace {

constexpr int kTokensPerThread = 4;
constexpr int kChunkTokens = kTokensPerThread * kBlockThreads;
constexpr int kWarps = kBlockThreads / kWarpLanes;

// Whether the rows [begin, begin + kChunkTokens) have `token`: the found rows, less `begin`, in
// ascending order to found[], and their number. All threads of the block call; `found` may be read
// once it returns, and until the next call's first barrier.
__device__ inline int FindToken(const EmbeddingGradientCall& call, int64_t begin, int64_t token,
                                int* found, int* found_by_warp) {
  const int first = kTokensPerThread * threadIdx.x;
  bool here[kTokensPerThread];
  int count = 0;
#pragma unroll
  for (int k = 0; k < kTokensPerThread; ++k) {
    const int64_t row = begin + first + k;
    here[k] = row < call.rows && call.tokens[row] == token;
    count += here[k] ? 1 : 0;
  }
  // Up to and including this thread, within the warp.
  int up_to = count;
  const int lane = threadIdx.x % kWarpLanes, warp = threadIdx.x / kWarpLanes;
#pragma unroll
  for (int distance = 1; distance < kWarpLanes; distance *= 2) {
    const int before = __shfl_up_sync(kAllLanes, up_to, distance);
    if (lane >= distance) up_to += before;
  }
  if (lane == kWarpLanes - 1) found_by_warp[warp] = up_to;
  __syncthreads();
  int place = up_to - count, total = 0;
#pragma unroll
  for (int other = 0; other < kWarps; ++other) {
    if (other < warp) place += found_by_warp[other];
    total += found_by_warp[other];
  }
#pragma unroll
  for (int k = 0; k < kTokensPerThread; ++k) {
    if (here[k]) found[place++] = first + k;
  }
  __syncthreads();
  return total;
}

// x runs over the vocabulary, y over tiles of 256 columns. A block goes through all tokens, 1024 at
// a time, and each of its threads adds one column of the rows that have its token. That reads the
// tokens as often as there are blocks, from a cache, and asks for neither sorting nor atomics.
__global__ void __launch_bounds__(kBlockThreads) TokenGradientKernel(EmbeddingGradientCall call) {
  __shared__ int found[kChunkTokens];
  __shared__ int found_by_warp[kWarps];
  for (int64_t token = blockIdx.x; token < call.vocabulary; token += gridDim.x) {
    for (int64_t col_begin = blockIdx.y * static_cast<int64_t>(kBlockThreads);
         col_begin < call.width; col_begin += gridDim.y * static_cast<int64_t>(kBlockThreads)) {
      const int64_t col = col_begin + threadIdx.x;
      float sum = 0.0f;
      for (int64_t begin = 0; begin < call.rows; begin += kChunkTokens) {
        const int total = FindToken(call, begin, token, found, found_by_warp);
        if (col >= call.width) continue;
#pragma unroll 8
        for (int i = 0; i < total; ++i)
          sum += call.output_gradient[(begin + found[i]) * call.width + col];
      }
      if (col >= call.width) continue;
      float& gradient = call.token_gradient[token * call.width + col];
      gradient = call.accumulate ? gradient + sum : sum;
    }
  }
}

// A thread four neighbours of one position; `count` quads, position after position.
template <typename Index>
__global__ void __launch_bounds__(kBlockThreads)
    PositionGradientKernel(EmbeddingGradientCall call, Index count) {
  const Index row_quads = static_cast<Index>((call.width + kQuad - 1) / kQuad);
  for (Index i = static_cast<Index>(ThreadX()); i < count; i += static_cast<Index>(StrideX())) {
    const int64_t position = i / row_quads;
    const int64_t offset = kQuad * static_cast<int64_t>(i % row_quads);
    const int64_t left = call.width - offset;
    Quad sum = Broadcast(0.0f);
#pragma unroll 4
    for (int64_t row = position; row < call.rows; row += call.context) {
      const Quad gradient = LoadQuad(call.output_gradient + row * call.width + offset, left);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) sum.value[k] += gradient.value[k];
    }
    StoreQuad(sum, call.position_gradient + position * call.width + offset, left);
  }
}

__global__ void __launch_bounds__(kBlockThreads)
    CheckTokensKernel(EmbeddingGradientCall call, int64_t* bad_token_row) {
  for (int64_t row = ThreadX(); row < call.rows; row += StrideX()) {
    const int64_t token = call.tokens[row];
    if (token < 0 || token >= call.vocabulary) *bad_token_row = row + 1;
  }
}

}  // namespace

cudaError_t Launch(const EmbeddingGradientCall& call, const DeviceQueue& queue) {
  if (call.width == 0) return cudaSuccess;
  if (call.rows > 0)
    CheckTokensKernel<<<GridFor(call.rows), kBlockThreads, 0, queue.stream>>>(call,
                                                                              queue.bad_token_row);
  if (call.vocabulary > 0) {
    const dim3 grid(
        static_cast<unsigned>(std::min(call.vocabulary, kGridBlocksMax)),
        static_cast<unsigned>(std::min(CeilDiv(call.width, kBlockThreads), kGridBlocksMax)));
    TokenGradientKernel<<<grid, kBlockThreads, 0, queue.stream>>>(call);
  }
  const int64_t count = call.context * CeilDiv(call.width, kQuad);
  if (count == 0) return cudaGetLastError();
  if (FitsInt32(count)) {
    PositionGradientKernel<int32_t>
        <<<GridFor(count), kBlockThreads, 0, queue.stream>>>(call, static_cast<int32_t>(count));
  } else {
    PositionGradientKernel<int64_t>
        <<<GridFor(count), kBlockThreads, 0, queue.stream>>>(call, count);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
