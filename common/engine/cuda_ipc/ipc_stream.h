#ifndef RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_STREAM_H_
#define RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_STREAM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/partition.h"

namespace ringmaster {

// Every rank has memory of kIpcSlots slots for pieces, each of kIpcSlotFloats, and an event for
// each moment of each slot; all ranks' streams reach all of it.
inline constexpr int kIpcSlots = 2;
inline constexpr int64_t kIpcSlotFloats = int64_t{2}
                                          << 20;  // 8 MiB: some hundred microseconds of copying
enum class IpcMoment { kReady, kSummed };
inline constexpr int kIpcMoments = 2;

// What one rank's stream does, one after the other and later than it is told. CUDA's rules hold: a
// wait is for what its event was recorded for last when the wait was told, and for nothing where it
// was never recorded; recording it again does not change what earlier waits are for. One thread.
class IpcStream {
 public:
  virtual ~IpcStream() = default;
  // own slot[0, piece.size()) = piece, which stays until Done.
  virtual absl::Status CopyIn(int slot, absl::Span<const float> piece) = 0;
  // Records the own event.
  virtual absl::Status Record(IpcMoment moment, int slot) = 0;
  // What follows waits for the event of `rank`, another one.
  virtual absl::Status WaitFor(int32_t rank, IpcMoment moment, int slot) = 0;
  // own slot[i] = ((slot of rank 0)[i] + (slot of rank 1)[i]) + ... over all ranks, for i in
  // `chunk`.
  virtual absl::Status Sum(int slot, const Range& chunk) = 0;
  // to = slot of `rank`[chunk.begin, chunk.end()).
  virtual absl::Status CopyOut(int32_t rank, int slot, const Range& chunk,
                               absl::Span<float> to) = 0;
  // Whether all of it is done, or the error that ended it. Never waits.
  virtual absl::StatusOr<bool> Done() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_STREAM_H_
