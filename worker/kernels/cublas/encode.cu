// The encodings of gradients (common/codec/blocks), with error feedback's residual on the device.

#include <cstring>

#include "common/codec/blocks/bf16_blocks.h"
#include "common/codec/blocks/fp16_blocks.h"
#include "common/codec/blocks/level_blocks.h"
#include "common/codec/blocks/onebit_blocks.h"
#include "common/codec/blocks/topk_blocks.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// See team.h. Calls of Each are made by all threads of the block or by none.
struct DeviceTeam {
  __device__ int64_t block() const { return blockIdx.x; }
  __device__ int64_t blocks() const { return gridDim.x; }
  template <typename Function>
  __device__ void Each(const Function& function) {
    function(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  __device__ void Add(uint32_t* counter, uint32_t value) { atomicAdd(counter, value); }
};

template <typename Work>
__global__ void __launch_bounds__(kTeamThreads) WorkKernel(Work work) {
  __shared__ typename Work::Shared shared;
  DeviceTeam team;
  work(team, shared);
}

// Queues what encoders ask for; keeps the first error.
class StreamLauncher {
 public:
  explicit StreamLauncher(cudaStream_t stream) : stream_(stream) {}

  void Zero(void* memory, size_t bytes) { Note(cudaMemsetAsync(memory, 0, bytes, stream_)); }
  template <typename Work>
  void Run(int64_t blocks, const Work& work) {
    if (code_ != cudaSuccess) return;
    WorkKernel<Work><<<static_cast<unsigned>(blocks), kTeamThreads, 0, stream_>>>(work);
    Note(cudaGetLastError());
  }
  cudaError_t code() const { return code_; }

 private:
  void Note(cudaError_t code) {
    if (code_ == cudaSuccess) code_ = code;
  }

  const cudaStream_t stream_;
  cudaError_t code_ = cudaSuccess;
};

// Where the parts of topk's scratch lie.
TopkSearch* SearchIn(std::byte* scratch) { return reinterpret_cast<TopkSearch*>(scratch); }
TopkCounts* TilesIn(std::byte* scratch) {
  return reinterpret_cast<TopkCounts*>(scratch + sizeof(TopkSearch));
}
static_assert(sizeof(TopkSearch) % alignof(TopkCounts) == 0);

LevelEncoding LevelsOf(const EncodeCall& call, int32_t levels, int bits) {
  return {call.gradient,
          call.residual,
          call.count,
          call.block,
          levels,
          bits,
          reinterpret_cast<uint8_t*>(call.out),
          reinterpret_cast<uint32_t*>(call.scratch),
          reinterpret_cast<float*>(call.scratch + sizeof(uint32_t))};
}

}  // namespace

int64_t EncodeScratchBytes(EncodeKind kind, int64_t count) {
  switch (kind) {
    case EncodeKind::kFp16:
    case EncodeKind::kBf16:
      return sizeof(uint32_t);
    case EncodeKind::kInt8:
    case EncodeKind::kInt4:  // blocks of one element, at worst
      return sizeof(uint32_t) + count * static_cast<int64_t>(sizeof(float));
    case EncodeKind::kOnebit:
      return OnebitSumBlocks(count) * kSumLanes * static_cast<int64_t>(sizeof(double));
    case EncodeKind::kTopk:
      return static_cast<int64_t>(sizeof(TopkSearch)) +
             TopkTiles(count) * static_cast<int64_t>(sizeof(TopkCounts));
  }
  return 0;
}

cudaError_t Launch(const EncodeCall& call, const DeviceQueue& queue) {
  StreamLauncher launcher(queue.stream);
  switch (call.kind) {
    case EncodeKind::kFp16:
      EncodeFp16(launcher,
                 {call.gradient, call.residual, call.count, reinterpret_cast<uint16_t*>(call.out),
                  reinterpret_cast<uint32_t*>(call.scratch)});
      break;
    case EncodeKind::kBf16:
      EncodeBf16(launcher,
                 {call.gradient, call.residual, call.count, reinterpret_cast<uint16_t*>(call.out),
                  reinterpret_cast<uint32_t*>(call.scratch)});
      break;
    case EncodeKind::kInt8:
      EncodeLevels(launcher, LevelsOf(call, 127, 8));
      break;
    case EncodeKind::kInt4:
      EncodeLevels(launcher, LevelsOf(call, 7, 4));
      break;
    case EncodeKind::kOnebit:
      EncodeOnebit(launcher,
                   {call.gradient, call.residual, call.count, reinterpret_cast<uint8_t*>(call.out),
                    reinterpret_cast<double*>(call.scratch)});
      break;
    case EncodeKind::kTopk:
      EncodeTopk(launcher, {call.gradient, call.residual, call.count, call.kept,
                            reinterpret_cast<uint32_t*>(call.out), SearchIn(call.scratch),
                            TilesIn(call.scratch)});
      break;
  }
  return launcher.code();
}

}  // namespace ringmaster
