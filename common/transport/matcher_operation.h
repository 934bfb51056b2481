#ifndef RINGMASTER_COMMON_TRANSPORT_MATCHER_OPERATION_H_
#define RINGMASTER_COMMON_TRANSPORT_MATCHER_OPERATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/transport/matcher.h"

namespace ringmaster {

// A started send, or a message that is posted, arriving, or both. Guarded by the matcher's mutex,
// but for what `pinned` and `moving` lend to one thread.
struct Matcher::Operation {
  explicit Operation(int64_t slot) : slot(slot) {}

  int64_t slot;  // its place among all of its matcher, for good
  OpId id = 0;   // 0: not posted yet, or waited for
  NodeId peer;
  Tag tag;
  bool is_send = false;
  bool done = false;
  bool consumed = false;  // waited for; kept only while its bytes still come
  absl::Status status;
  Operation* done_before = nullptr;  // neighbours among those that are done and not yet waited for
  Operation* done_after = nullptr;

  // The receive, once posted; constant from then on.
  bool posted = false;
  absl::Span<std::byte> out;
  ReceiveMode mode = ReceiveMode::kStore;
  Received* received = nullptr;
  Loan* loan = nullptr;
  bool reads = false;

  bool* returned = nullptr;  // of a send that is a loan

  // The arrival, once begun.
  bool begun = false;
  bool dropping = false;  // its size was wrong: the rest is not wanted
  bool lost = false;      // its sender is: no segment comes any more
  int64_t note = 0;
  int64_t total_bytes = 0;
  int64_t opened_bytes = 0;  // of the segments begun so far
  int64_t arrived_bytes = 0;
  std::unique_ptr<std::byte[]> early;  // set while bytes go here and not to `out`
  int64_t moved_bytes = 0;             // of `early`, already taken to `out`
  bool pinned = false;                 // the wire writes at arrived_bytes, without the lock
  bool moving = false;  // some thread takes bytes from `early` to `out`, without the lock
  // the first bytes of an element whose rest has not come; the wire's
  std::array<std::byte, 4> carry{};
  int64_t carry_bytes = 0;

  // No more bytes come, of a message that is not whole where it was expected.
  bool is_cut_short() const {
    const bool has_place = posted && begun;
    return lost && !pinned && opened_bytes == arrived_bytes &&
           !(has_place && arrived_bytes == total_bytes);
  }
};

// Applies `bytes` at `offset` of `out`. Additions want whole elements: offset and size multiples of
// the element size; `bytes` may have any alignment.
void ApplyBytes(absl::Span<const std::byte> bytes, ReceiveMode mode, int64_t offset,
                absl::Span<std::byte> out);

// Bytes of one element that is added; 1 for kStore.
int64_t ElementBytes(ReceiveMode mode);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_MATCHER_OPERATION_H_
