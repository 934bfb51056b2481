#ifndef RINGMASTER_COMMON_TRANSPORT_TRANSPORT_H_
#define RINGMASTER_COMMON_TRANSPORT_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/base/monotonic.h"

namespace ringmaster {

// What becomes of received bytes. Adding: the destination holds floats (or halves), to which the message's are added,
// element by element, in the element's own precision.
enum class ReceiveMode : uint8_t { kStore, kAddFloat32, kAddFloat16 };

using OpId = int64_t;

// What came with a message.
struct Received {
  int64_t bytes = 0;
  int64_t note = 0;
};

// Memory of a peer, borrowed in place of a message's bytes until it is returned: to be read and written in place, or
// only to be read.
struct Loan {
  absl::Span<std::byte> memory;  // empty: the message has come as any other
  int64_t handle = 0;            // the transport's
  bool read_only = false;        // borrowed by PostToRead: nothing goes back
};

// What the threads of a node wait for in Wait and WaitAny at one moment.
struct Activity {
  struct Awaited {
    NodeId peer;
    Tag tag;
    bool is_send = false;
  };
  int64_t moved = 0;             // grows with every operation that is done and every segment that arrives
  std::vector<Awaited> awaited;  // operations with other nodes that are not done
};

// What one node uses to talk to all others. Sends are started and receives are posted; neither ever waits for a peer,
// so that a ring in which every rank sends first cannot stand still. Messages between a pair of nodes may complete in any order; each is
// found by its tag. Bytes that come before their receive is posted are kept (up to a limit that ends the run with
// ResourceExhausted), so posting late is correct and only costs a copy.
//
// Thread-safe. Every operation must be waited for exactly once, by Wait or by WaitAny. Where a wait never returns OK
// (an abort, a deadline), the operation's memory must outlive the transport's fabric.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual NodeId self() const = 0;

  // Starts to send `payload` (which may be empty) to `to`. The bytes stay untouched until Wait returns OK for the operation; the
  // wait is over when the bytes have left this buffer, not when the peer has them. A peer that reads them here
  // (PostToRead) lets them go when it is done.
  virtual absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) = 0;

  // Expects a message of exactly out.size() bytes. `out` belongs to the transport until Wait returns OK. A message of another size fails
  // the wait with InvalidArgument naming both sizes. Posting the same (from, tag) twice is AlreadyExists.
  virtual absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) = 0;

  // As Post with kStore, for a message of 0 to out.size() bytes (encoded gradients) or one whose note matters;
  // `received` is filled when Wait returns OK and must live until then.
  virtual absl::StatusOr<OpId> PostUpTo(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received) = 0;

  // As StartSend, but where the two nodes share memory the peer may borrow `memory` in place of receiving its bytes: Wait
  // then returns OK when the peer has returned it, with what the peer has left there. `returned`, which must live until
  // then, says whether that is so; if not, `memory` is as it was. A transport that shares no memory sends.
  virtual absl::StatusOr<OpId> StartLoan(NodeId to, Tag tag, absl::Span<std::byte> memory, bool* returned) {
    *returned = false;
    return StartSend(to, tag, memory);
  }

  // As Post, but takes a loan where the message is one: then nothing is stored or added, and `loan` is filled when Wait
  // returns OK. `loan` must live until then.
  virtual absl::StatusOr<OpId> PostLoan(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode, Loan* loan) {
    *loan = {};
    return Post(from, tag, out, mode);
  }

  // As PostUpTo, but where the two nodes share the memory that the message is sent from, its bytes need not be stored:
  // `loan`, filled when Wait returns OK, is then where they lie. The peer's send is not over until it is returned, so
  // nothing that the peer does only then may be waited for meanwhile.
  virtual absl::StatusOr<OpId> PostToRead(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received,
                                          Loan* loan) {
    *loan = {};
    return PostUpTo(from, tag, out, received);
  }

  // Gives back what came from `from` under `tag`; `loan.memory` is the peer's again. Once for each loan. Never waits.
  virtual void Return(NodeId from, const Tag& tag, const Loan& loan) {}

  // Sleeps until the operation is done. DeadlineExceeded names peer and tag and leaves the operation as it was, so it
  // may be waited for again; after an abort, the abort's status.
  virtual absl::Status Wait(OpId op, MonotonicTime deadline) = 0;

  // Sleeps until one of `ops` is done and returns its index in `ops`; only that one is consumed. Another thread ends the
  // sleep by a message from the node to itself (common/transport/wake.h).
  virtual absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) = 0;

  // What goes on, for reports of progress. `awaited` is empty unless `moved` is still `moved_before`. Any thread, now and
  // then: it takes the lock that every message takes. Empty where the transport does not know.
  virtual Activity activity(int64_t moved_before) { return {}; }

  // Wakes every waiter with `why` and fails all later calls with it. The first abort wins. May be called from any thread.
  virtual void Abort(const absl::Status& why) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TRANSPORT_H_
