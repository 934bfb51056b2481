#ifndef RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_SUM_H_
#define RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_SUM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/base/partition.h"
#include "common/engine/cuda_ipc/board.h"
#include "common/engine/cuda_ipc/ipc_stream.h"

namespace ringmaster {

// The chunk of `rank` in a piece of `count` floats: as equal as whole groups of four allow, so that
// every chunk begins where four floats may be moved at once. In order; together they are the piece.
// Some may be empty.
Range IpcChunk(int64_t count, int32_t ranks, int32_t rank);

struct IpcSeat {
  int32_t rank = 0;
  int32_t ranks = 0;
  int64_t slot_floats = kIpcSlotFloats;
  absl::Duration wait_limit;  // of one call
};

// All-reduce between ranks that reach each other's memory, in the order of their ranks: ((x0 + x1)
// + x2) + ..., so the bits do not depend on timing, size or place, and on two ranks are the ring's.
//
// The data goes in pieces of a slot's size. Of each piece every rank copies its own floats into its
// own slot (1), sums its chunk over all ranks' slots into its own slot, whose chunk nobody else
// reads meanwhile (2), and copies every chunk out of the slot of the rank that summed it (3).
// Events order the streams: 2 waits for 1 of all ranks (kReady), 3 for 2 of all ranks (kSummed).
// The host only says when an event has been recorded, since a wait that is told earlier would be
// for nothing; so it runs ahead of the device, and no byte passes through it.
//
// Two slots are enough, and no event says that a slot has been read: a rank fills slot s for piece
// p + 2 behind its waits for piece p + 1's kReady of all ranks, each of which stands in its rank's
// stream behind all that read piece p. For the same reason an event is recorded for piece p + 2
// only when all waits for piece p have been told: the host has seen all ranks' kSummed of p (so
// kReady of p was waited for) and kReady of p + 1 (so kSummed of p was).
class IpcSum {
 public:
  // `board` and `stream` outlive this object.
  IpcSum(const IpcSeat& seat, Board* board, IpcStream* stream)
      : seat_(seat), board_(board), stream_(stream) {}

  // data = the sum over all ranks of `from`, of the same size: data itself, or what the stream
  // copies from elsewhere. All ranks make the same calls with the same sizes; returns when the sum
  // is there. Errors of the board and of the stream; then `data` is unspecified, may still be
  // written to until the stream is done, and nothing more may be called.
  absl::Status Run(const float* from, absl::Span<float> data);

 private:
  absl::Status QueuePiece(const float* from, absl::Span<float> piece, MonotonicTime deadline);
  absl::Status Meet(BoardRow row, IpcMoment moment, int slot, MonotonicTime deadline);
  absl::Status WaitUntilDone(MonotonicTime deadline);

  const IpcSeat seat_;
  Board* const board_;
  IpcStream* const stream_;
  int64_t pieces_ = 0;  // queued since the beginning: the same on all ranks
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_SUM_H_
