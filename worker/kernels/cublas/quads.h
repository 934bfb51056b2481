#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_QUADS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_QUADS_H_

#include <cstdint>

#include "worker/kernels/cublas/launch.h"

namespace ringmaster {

// Four neighbouring floats, the share of one thread in one round. Tensors within an arena start
// anywhere, so whether they move in one access of 16 bytes is seen at each address; the arithmetic
// is the same code either way, and the same thread gets the same elements. So results do not depend
// on where a tensor lies.
constexpr int kQuad = 4;

struct Quad {
  float value[kQuad];
};

__device__ inline bool IsQuadAligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % (kQuad * sizeof(float)) == 0;
}

// data[0..3]; of the `left` elements that there are (at least one), 0 behind them.
__device__ inline Quad LoadQuad(const float* data, int64_t left) {
  if (left >= kQuad && IsQuadAligned(data)) {
    const float4 all = *reinterpret_cast<const float4*>(data);
    return {{all.x, all.y, all.z, all.w}};
  }
  Quad quad;
#pragma unroll
  for (int i = 0; i < kQuad; ++i) quad.value[i] = i < left ? data[i] : 0.0f;
  return quad;
}

// Writes the first `left` of the four.
__device__ inline void StoreQuad(const Quad& quad, float* data, int64_t left) {
  if (left >= kQuad && IsQuadAligned(data)) {
    *reinterpret_cast<float4*>(data) =
        make_float4(quad.value[0], quad.value[1], quad.value[2], quad.value[3]);
    return;
  }
#pragma unroll
  for (int i = 0; i < kQuad; ++i) {
    if (i < left) data[i] = quad.value[i];
  }
}

__device__ inline Quad Broadcast(float value) { return {{value, value, value, value}}; }

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_QUADS_H_
