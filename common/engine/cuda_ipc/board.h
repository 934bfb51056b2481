#ifndef RINGMASTER_COMMON_ENGINE_CUDA_IPC_BOARD_H_
#define RINGMASTER_COMMON_ENGINE_CUDA_IPC_BOARD_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/monotonic.h"
#include "common/transport/shm/host_proof.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/segment.h"

namespace ringmaster {

// What a rank tells the others of, each a counter that only grows.
enum class BoardRow { kReady, kSummed, kLeft };
inline constexpr int kBoardRows = 3;

// Counters of all ranks of one host, in memory that all of them map: a rank shows its own, and
// sleeps until the others' are far enough. What a rank did before Show is seen by whoever has
// waited for it. One thread a rank, but for GiveUp.
class Board {
 public:
  // How another process finds it. Travels as it lies in memory.
  struct Name {
    HostProof::Offer proof;  // that both are on one host
    Segment::Name memory;
  };

  // Of the rank that makes it, and of the others. Errors as HostProof's and Segment's.
  static absl::StatusOr<Board> Create(int32_t ranks);
  static absl::StatusOr<Board> Open(const Name& name, int32_t ranks);
  // By which other processes of this host find it, as long as the object lives that made it.
  // REQUIRES: Create has made it.
  Name name() const { return {proof_->offer(), segment_.name()}; }

  // Raises `rank`'s counter to `value`.
  void Show(int32_t rank, BoardRow row, int64_t value);

  // Returns when the counter of every rank is at least `value`. DeadlineExceeded names the ranks
  // whose is not, with how far they are; Cancelled once any rank has given up.
  absl::Status WaitForAll(BoardRow row, int64_t value, MonotonicTime deadline) const;

  // Makes every wait on the board fail, of every rank, those in progress and those to come. Any
  // thread; never waits.
  void GiveUp(int32_t rank);
  // Cancelled once any rank has given up.
  absl::Status status() const;

 private:
  struct alignas(kCacheLine) Counters {
    std::atomic<int64_t> of_row[kBoardRows];
  };
  struct Header {
    ControlHeader bell;
    alignas(kCacheLine) std::atomic<int32_t> gave_up;  // 1 + the first rank that did; 0: none
  };
  static_assert(std::atomic<int64_t>::is_always_lock_free &&
                std::atomic<int32_t>::is_always_lock_free);

  Board(Segment segment, int32_t ranks) : segment_(std::move(segment)), ranks_(ranks) {}

  static int64_t BytesOf(int32_t ranks) { return sizeof(Header) + ranks * sizeof(Counters); }
  // Shared memory begins as zeros, which these types' values may be.
  Header* header() const { return reinterpret_cast<Header*>(segment_.data()); }
  Counters* counters() const {
    return reinterpret_cast<Counters*>(segment_.data() + sizeof(Header));
  }
  int64_t Value(int32_t rank, BoardRow row) const {
    return counters()[rank].of_row[static_cast<int>(row)].load(std::memory_order_acquire);
  }
  bool AllReached(BoardRow row, int64_t value) const;

  Segment segment_;
  std::optional<HostProof> proof_;  // of the rank that has made it
  int32_t ranks_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_CUDA_IPC_BOARD_H_
