#ifndef RINGMASTER_COMMON_TRANSPORT_TRANSPORT_H_
#define RINGMASTER_COMMON_TRANSPORT_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/message.h"
#include "common/base/monotonic.h"

namespace ringmaster {

// What becomes of received bytes. Adding: the destination holds floats (or halves), to which the
// message's are added, element by element, in the element's own precision.
enum class ReceiveMode : uint8_t { kStore, kAddFloat32, kAddFloat16, kAddBfloat16 };

using OpId = int64_t;

// What came with a message.
struct Received {
  int64_t bytes = 0;
  int64_t note = 0;
  // Nothing came: the sender is lost, and nothing ever will (Fabric::Forget).
  bool lost = false;
};

// Memory of a peer, borrowed in place of a message's bytes until it is returned: to be read and
// written in place, or only to be read.
struct Loan {
  absl::Span<std::byte> memory;  // empty: the message has arrived as any other
  int64_t handle = 0;            // the transport's
  bool read_only = false;        // nothing goes back
};

// A message to send: its bytes, or memory that is lent.
struct Outgoing {
  // `payload` may be empty. It stays unchanged until the wait for the operation returns OK: the
  // bytes have then left this buffer, which does not mean that the peer has them. A peer that reads
  // them here lets them go when it is done.
  Outgoing(NodeId to, const Tag& tag, absl::Span<const std::byte> payload)
      : to(to), tag(tag), payload(payload), returned(nullptr) {}

  // Lends `memory`: where the two nodes share memory, a peer that takes loans borrows it in place
  // of receiving its bytes. The wait then returns OK when the peer has returned it, with what the
  // peer has left there. `returned`, which must live until then, says whether that is so; if not,
  // the bytes were sent and `memory` is as it was.
  Outgoing(NodeId to, const Tag& tag, absl::Span<std::byte> memory, bool* returned)
      : to(to), tag(tag), payload(memory), returned(returned) {
    RM_CHECK(returned != nullptr);
  }

  // The same bytes, sent and not lent: for a transport that shares no memory. Clears `*returned`.
  Outgoing WithoutLoan() const {
    if (returned != nullptr) *returned = false;
    return {to, tag, payload};
  }

  const NodeId to;
  const Tag tag;
  const absl::Span<const std::byte> payload;
  bool* const returned;  // set: the payload is lent, and may be written
};

// A message to receive. How its size is judged, and whether it may be borrowed, is said by the
// constructor. `out`, `received` and `loan` belong to the transport until the wait for the
// operation returns OK; the latter two are filled by then.
struct Incoming {
  // Exactly out.size() bytes, stored or added. Another size fails the wait with InvalidArgument,
  // which names both.
  Incoming(NodeId from, const Tag& tag, absl::Span<std::byte> out,
           ReceiveMode mode = ReceiveMode::kStore)
      : Incoming(from, tag, out, mode, nullptr, nullptr) {}

  // The same, but where the message is a loan it is borrowed, to be read and written: nothing is
  // stored or added.
  Incoming(NodeId from, const Tag& tag, absl::Span<std::byte> out, ReceiveMode mode, Loan* loan)
      : Incoming(from, tag, out, mode, nullptr, loan) {
    RM_CHECK(loan != nullptr);
  }

  // From 0 to out.size() bytes (encoded gradients), stored; also for a message whose note matters.
  // More bytes fail the wait with InvalidArgument.
  Incoming(NodeId from, const Tag& tag, absl::Span<std::byte> out, Received* received)
      : Incoming(from, tag, out, ReceiveMode::kStore, received, nullptr) {
    RM_CHECK(received != nullptr);
  }

  // The same, but where the two nodes share the memory that the message is sent or lent from, it is
  // borrowed, only to be read: nothing is stored. The peer's send is over when it is returned.
  // Until then do not wait for anything that the peer does after that send: it would be a deadlock.
  Incoming(NodeId from, const Tag& tag, absl::Span<std::byte> out, Received* received, Loan* loan)
      : Incoming(from, tag, out, ReceiveMode::kStore, received, loan) {
    RM_CHECK(received != nullptr && loan != nullptr);
  }

  // The same message, borrowed from nobody: for a transport that shares no memory. Clears `*loan`.
  Incoming WithoutLoan() const {
    if (loan != nullptr) *loan = {};
    return {from, tag, out, mode, received, nullptr};
  }

  // Whether it may be borrowed only to be read.
  bool only_reads() const { return loan != nullptr && received != nullptr; }

  const NodeId from;
  const Tag tag;
  const absl::Span<std::byte> out;
  const ReceiveMode mode;
  Received* const received;  // set: any size up to out.size()
  Loan* const loan;          // set: the message may be borrowed

 private:
  Incoming(NodeId from, const Tag& tag, absl::Span<std::byte> out, ReceiveMode mode,
           Received* received, Loan* loan)
      : from(from), tag(tag), out(out), mode(mode), received(received), loan(loan) {}
};

// What the threads of a node wait for in Wait and WaitAny at one moment.
struct Activity {
  struct Awaited {
    NodeId peer;
    Tag tag;
    bool is_send = false;
  };
  int64_t moved = 0;  // grows with every operation that is done and every segment that arrives
  std::vector<Awaited> awaited;  // operations with other nodes that are not done
};

// What one node uses to talk to all others. Send and Receive only start an operation: neither ever
// waits for a peer, so that a ring in which every rank sends first cannot stand still. Messages
// between a pair of nodes may complete in any order; each is found by its tag. Bytes that come
// before their Receive are kept (up to a limit that ends the run with ResourceExhausted), so a late
// Receive is correct and only costs a copy.
//
// Thread-safe. Every operation must be waited for exactly once, by Wait or by WaitAny. Where a wait
// never returns OK (an abort, a deadline), the operation's memory must outlive the transport's
// fabric.
class Transport {
 public:
  virtual ~Transport() = default;

  // The node whose transport this is: the sender of what it sends.
  virtual NodeId self() const = 0;

  // Starts to send. InvalidArgument: there is no such peer.
  virtual absl::StatusOr<OpId> Send(const Outgoing& message) = 0;

  // Expects a message. AlreadyExists: one with the same sender and tag is expected already.
  // InvalidArgument: there is no such peer, or an addition to memory that is not whole, aligned
  // elements.
  virtual absl::StatusOr<OpId> Receive(const Incoming& message) = 0;

  // Gives back what came from `from` under `tag`; `loan.memory` is the peer's again. Once for each
  // loan. Never waits.
  virtual void Return(NodeId from, const Tag& tag, const Loan& loan) = 0;

  // Sleeps until the operation is done. DeadlineExceeded names peer and tag and leaves the
  // operation as it was, so it may be waited for again; after an abort, the abort's status.
  virtual absl::Status Wait(OpId op, MonotonicTime deadline) = 0;

  // Sleeps until one of `ops` is done and returns its index in `ops`; only that one is consumed.
  // Another thread ends the sleep by a message from the node to itself (common/transport/wake.h).
  virtual absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) = 0;

  // What goes on, for reports of progress. `awaited` is empty unless `moved` is still
  // `moved_before`. Any thread, now and then: it takes the lock that every message takes.
  virtual Activity activity(int64_t moved_before) = 0;

  // Wakes every waiter with `why` and fails all later calls with it. The first abort wins. Any
  // thread.
  virtual void Abort(const absl::Status& why) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TRANSPORT_H_
