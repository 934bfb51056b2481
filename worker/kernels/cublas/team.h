#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_TEAM_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_TEAM_H_

#include <cstdint>

#include "worker/kernels/cublas/launch.h"

namespace ringmaster {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpLanes = 32;

// The sum over the warp, the same bits in every lane: each round adds two equal pairs, and addition
// commutes.
__device__ inline float WarpSum(float value) {
#pragma unroll
  for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

// The largest of the warp's values that are numbers, in every lane.
__device__ inline float WarpMax(float value) {
#pragma unroll
  for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// The threads that work on one row or group together: a warp (kThreads = 32, several teams a block)
// or a block of kThreads. Every thread of a team makes the same calls, in the same order.
template <int kThreads>
struct Team {
  static_assert(kThreads % kWarpLanes == 0 && kThreads <= kWarpLanes * kWarpLanes);
  static constexpr int kBlock = kThreads == kWarpLanes ? kBlockThreads : kThreads;
  static constexpr int kTeamsPerBlock = kBlock / kThreads;

  // The grid in which `rows` rows have a team each, and the loop strides over what is left; rows >
  // 0.
  static dim3 GridFor(int64_t rows) {
    return dim3(static_cast<unsigned>(std::min(CeilDiv(rows, kTeamsPerBlock), kGridBlocksMax)));
  }

  // The first row of this thread's team, and how far it is to the next.
  __device__ static int64_t First() { return ThreadX() / kThreads; }
  __device__ static int64_t Step() { return StrideX() / kThreads; }
  __device__ static int Rank() { return threadIdx.x % kThreads; }

  // Over all threads of the team, the same bits in each.
  __device__ static float Sum(float value) {
    value = WarpSum(value);
    return kThreads == kWarpLanes ? value : WarpSum(OfWarp(value, 0.0f));
  }
  __device__ static float Max(float value) {
    value = WarpMax(value);
    return kThreads == kWarpLanes ? value : WarpMax(OfWarp(value, value));
  }

 private:
  // To lane i of each warp the value of warp i, and `none` to lanes that have no such warp.
  __device__ static float OfWarp(float value, float none) {
    __shared__ float of_warp[kWarpLanes];
    const int lane = threadIdx.x % kWarpLanes;
    __syncthreads();  // whoever asked before has read
    if (lane == 0) of_warp[threadIdx.x / kWarpLanes] = value;
    __syncthreads();
    return lane < kThreads / kWarpLanes ? of_warp[lane] : none;
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_TEAM_H_
