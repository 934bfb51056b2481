#include "common/engine/cuda_ipc/board.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/shm/bell.h"

namespace ringmaster {
namespace {

constexpr const char* kRowNames[kBoardRows] = {"pieces ready", "pieces summed", "leaves taken"};

}  // namespace

absl::StatusOr<Board> Board::Create(int32_t ranks) {
  RM_CHECK(ranks > 0);
  RM_ASSIGN_OR_RETURN(Segment segment, Segment::Create("ringmaster-board", BytesOf(ranks)));
  // Touching it never fails afterwards.
  RM_RETURN_IF_ERROR(segment.Reserve(0, BytesOf(ranks)));
  Board board(std::move(segment), ranks);
  RM_ASSIGN_OR_RETURN(HostProof proof, HostProof::Create());
  board.proof_.emplace(std::move(proof));
  return board;
}

absl::StatusOr<Board> Board::Open(const Name& name, int32_t ranks) {
  RM_RETURN_IF_ERROR(HostProof::Check(name.proof));
  if (name.memory.size_bytes != BytesOf(ranks)) {
    return absl::InvalidArgumentError(absl::StrCat("a board of ", name.memory.size_bytes,
                                                   " bytes was announced, expected ",
                                                   BytesOf(ranks), " for ", ranks, " ranks"));
  }
  RM_ASSIGN_OR_RETURN(Segment segment, Segment::Open(name.memory, /*writable=*/true));
  return Board(std::move(segment), ranks);
}

void Board::Show(int32_t rank, BoardRow row, int64_t value) {
  RM_CHECK(rank >= 0 && rank < ranks_ && value >= Value(rank, row));
  counters()[rank].of_row[static_cast<int>(row)].store(value, std::memory_order_release);
  RingBell(&header()->bell);
}

bool Board::AllReached(BoardRow row, int64_t value) const {
  for (int32_t rank = 0; rank < ranks_; ++rank) {
    if (Value(rank, row) < value) return false;
  }
  return true;
}

absl::Status Board::WaitForAll(BoardRow row, int64_t value, MonotonicTime deadline) const {
  while (true) {
    Sleeper sleeper(&header()->bell);
    RM_RETURN_IF_ERROR(status());
    if (AllReached(row, value)) return absl::OkStatus();
    const absl::Duration left = deadline - MonotonicNow();
    if (left <= absl::ZeroDuration()) break;
    sleeper.Sleep(left);
  }
  std::string late;
  for (int32_t rank = 0; rank < ranks_; ++rank) {
    if (Value(rank, row) >= value) continue;
    absl::StrAppend(&late, late.empty() ? "" : ", ", "rank ", rank, " with ", Value(rank, row));
  }
  return absl::DeadlineExceededError(absl::StrCat(
      "waited in vain for ", value, " ", kRowNames[static_cast<int>(row)], "; behind is ", late));
}

void Board::GiveUp(int32_t rank) {
  int32_t nobody = 0;
  header()->gave_up.compare_exchange_strong(nobody, rank + 1);
  RingBell(&header()->bell);
}

absl::Status Board::status() const {
  const int32_t gave_up = header()->gave_up.load(std::memory_order_acquire);
  if (gave_up == 0) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("rank ", gave_up - 1, " gave up"));
}

}  // namespace ringmaster
