#include "common/engine/cuda_ipc/ipc_sum.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kGroupFloats = 4;

}  // namespace

Range IpcChunk(int64_t count, int32_t ranks, int32_t rank) {
  const Range groups = Part(CeilDiv(count, kGroupFloats), ranks, rank);
  const int64_t begin = std::min(count, groups.begin * kGroupFloats);
  return {begin, std::min(count, groups.end() * kGroupFloats) - begin};
}

absl::Status IpcSum::Run(const float* from, absl::Span<float> data) {
  const MonotonicTime deadline = MonotonicNow() + seat_.wait_limit;
  for (size_t begin = 0; begin < data.size(); begin += seat_.slot_floats) {
    RM_RETURN_IF_ERROR(QueuePiece(from + begin, data.subspan(begin, seat_.slot_floats), deadline));
  }
  return WaitUntilDone(deadline);
}

absl::Status IpcSum::QueuePiece(const float* from, absl::Span<float> piece,
                                MonotonicTime deadline) {
  const int slot = static_cast<int>(pieces_ % kIpcSlots);
  ++pieces_;
  const auto chunk_of = [&](int32_t rank) {
    return IpcChunk(static_cast<int64_t>(piece.size()), seat_.ranks, rank);
  };
  RM_RETURN_IF_ERROR(stream_->CopyIn(slot, absl::MakeConstSpan(from, piece.size())));
  RM_RETURN_IF_ERROR(Meet(BoardRow::kReady, IpcMoment::kReady, slot, deadline));
  if (const Range own = chunk_of(seat_.rank); own.count > 0)
    RM_RETURN_IF_ERROR(stream_->Sum(slot, own));
  RM_RETURN_IF_ERROR(Meet(BoardRow::kSummed, IpcMoment::kSummed, slot, deadline));
  for (int32_t i = 0; i < seat_.ranks; ++i) {
    // Every rank begins with its own.
    const int32_t rank = (seat_.rank + i) % seat_.ranks;
    const Range chunk = chunk_of(rank);
    if (chunk.count == 0) continue;
    RM_RETURN_IF_ERROR(
        stream_->CopyOut(rank, slot, chunk, piece.subspan(chunk.begin, chunk.count)));
  }
  return absl::OkStatus();
}

// The stream goes on when all ranks' streams have reached this moment of the piece.
absl::Status IpcSum::Meet(BoardRow row, IpcMoment moment, int slot, MonotonicTime deadline) {
  RM_RETURN_IF_ERROR(stream_->Record(moment, slot));
  board_->Show(seat_.rank, row, pieces_);
  RM_RETURN_IF_ERROR(board_->WaitForAll(row, pieces_, deadline));
  for (int32_t rank = 0; rank < seat_.ranks; ++rank) {
    if (rank != seat_.rank) RM_RETURN_IF_ERROR(stream_->WaitFor(rank, moment, slot));
  }
  return absl::OkStatus();
}

// Asks again and again rather than waiting on the stream, which would wait for ever where a peer is
// gone.
absl::Status IpcSum::WaitUntilDone(MonotonicTime deadline) {
  while (true) {
    RM_ASSIGN_OR_RETURN(const bool done, stream_->Done());
    if (done) return absl::OkStatus();
    RM_RETURN_IF_ERROR(board_->status());
    if (MonotonicNow() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("the device has not summed ", pieces_,
                                                      " pieces within ",
                                                      absl::FormatDuration(seat_.wait_limit)));
    }
    std::this_thread::yield();
  }
}

}  // namespace ringmaster
