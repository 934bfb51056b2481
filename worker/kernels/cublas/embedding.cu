// output[r] = token_table[tokens[r]] + position_table[r mod context] (=). A token outside
// 0..vocabulary-1 gives a row of NaN and leaves its row + 1 in *bad_token_row.

#include <cmath>

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"

namespace ringmaster {
namespace {

// `count` quads, row after row; the last of a row may have fewer than four elements.
template <typename Index>
__global__ void __launch_bounds__(kBlockThreads)
    EmbeddingKernel(EmbeddingCall call, Index count, int64_t* bad_token_row) {
  const Index row_quads = static_cast<Index>((call.width + kQuad - 1) / kQuad);
  const Index context = static_cast<Index>(call.context);
  for (Index i = static_cast<Index>(ThreadX()); i < count; i += static_cast<Index>(StrideX())) {
    const Index row = i / row_quads;
    const int64_t offset = kQuad * static_cast<int64_t>(i - row * row_quads);
    const int64_t left = call.width - offset;
    const int64_t token = call.tokens[row];
    const bool known = token >= 0 && token < call.vocabulary;
    if (!known && offset == 0) *bad_token_row = row + 1;
    Quad output = Broadcast(NAN);
    if (known) {
      const Quad of_token = LoadQuad(call.token_table + token * call.width + offset, left);
      const Quad of_position = LoadQuad(
          call.position_table + static_cast<int64_t>(row % context) * call.width + offset, left);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) output.value[k] = of_token.value[k] + of_position.value[k];
    }
    StoreQuad(output, call.output + static_cast<int64_t>(row) * call.width + offset, left);
  }
}

}  // namespace

cudaError_t Launch(const EmbeddingCall& call, const DeviceQueue& queue) {
  if (call.rows == 0 || call.width == 0) return cudaSuccess;
  const int64_t count = call.rows * CeilDiv(call.width, kQuad);
  if (FitsInt32(count)) {
    EmbeddingKernel<int32_t><<<GridFor(count), kBlockThreads, 0, queue.stream>>>(
        call, static_cast<int32_t>(count), queue.bad_token_row);
  } else {
    EmbeddingKernel<int64_t>
        <<<GridFor(count), kBlockThreads, 0, queue.stream>>>(call, count, queue.bad_token_row);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
