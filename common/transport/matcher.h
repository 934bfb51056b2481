#ifndef RINGMASTER_COMMON_TRANSPORT_MATCHER_H_
#define RINGMASTER_COMMON_TRANSPORT_MATCHER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/transport.h"

namespace ringmaster {

// How a thread that sleeps elsewhere than in the matcher is woken.
class Rouser {
 public:
  virtual ~Rouser() = default;
  // Ends the thread's sleep, or its next one. Any thread, with locks held: calls nothing back.
  virtual void Rouse() = 0;
};

// The mailbox of one node, the same for every fabric: brings posted receives and arriving messages
// together, keeps what arrives early, and lets threads wait for operations. It has two sides: the
// node's own threads call the first group below, whoever carries bytes (an I/O thread, or the
// sender itself in one process) calls the second.
//
// Bytes of a message arrive in order, by one thread at a time; different messages may arrive at
// once on many threads. Copies and additions run outside the lock. Operation objects are recycled:
// with receives posted in time, a steady exchange allocates nothing. A wait looks at what is done,
// not at all it waits for: a message costs the same however many operations are in flight, but for
// one comparison of numbers each.
//
// Thread-safe. Memory handed to a receive is touched until its wait succeeded or the matcher is
// gone.
class Matcher {
 public:
  // `early_bytes_limit`: what may be kept for receives not yet posted; each message costs its size
  // and a little more.
  Matcher(NodeId self, int64_t early_bytes_limit);
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // ---- The node's side.

  // Registers a send, to be ended by FinishSend. `returned`: it is a loan, and what FinishSend says
  // of it goes here. Fails with the abort's status only.
  absl::StatusOr<OpId> AddSend(NodeId to, const Tag& tag, bool* returned = nullptr);

  // Posts a receive; what has arrived already is moved to its destination by the caller's thread.
  // AlreadyExists: one with this (from, tag) is posted. InvalidArgument: an addition to memory that
  // is not whole, aligned elements.
  absl::StatusOr<OpId> AddReceive(const Incoming& receive);

  // As Transport's. After DeadlineExceeded the operations are still there and may be waited for
  // again. Of several that are done the one that was done first is returned.
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline);

  // For fabrics whose waiters carry the bytes themselves. Poll is a WaitAny that never sleeps: -1
  // when none is done. Late is what a WaitAny says that has waited for `waited` in vain. While
  // `changes` stays the same, so does what Poll finds.
  absl::StatusOr<int> Poll(absl::Span<const OpId> ops);
  absl::Status Late(absl::Span<const OpId> ops, absl::Duration waited);
  uint64_t changes() const { return changes_.load(std::memory_order_acquire); }

  // One sleep of one thread: in WaitAny, or, with a `rouser`, elsewhere between Watch and Unwatch.
  struct Waiter {
    explicit Waiter(Rouser* rouser = nullptr) : rouser(rouser) {}
    Rouser* const rouser;
    MonotonicTime since;  // when its wait began, for the text of one that is late; InfinitePast:
                          // with this sleep
    // The rest is the matcher's.
    absl::Span<const OpId> ids;
    MonotonicCondVar ready;
    bool called = false;  // by Call: the sleep ends, whatever is done
  };
  // As WaitAny; -1 once `waiter` is called and none is done.
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline, Waiter* waiter);
  // As Poll; when none is done the waiter is roused once one is, or after an abort, until Unwatch.
  // `ops` and `waiter` must live until then.
  absl::StatusOr<int> Watch(absl::Span<const OpId> ops, Waiter* waiter);
  void Unwatch(Waiter* waiter);
  // Ends the sleep, or the next one, of a waiter. Any thread.
  void Call(Waiter* waiter);

  // Whether one of `ops` is a send that is not done.
  bool AwaitsSend(absl::Span<const OpId> ops);

  // As Transport's. A thread that sleeps elsewhere than in WaitAny, or between Watch and Unwatch,
  // is missed unless its wait is shown.
  Activity activity(int64_t moved_before);
  // Shows activity() a wait for `ops` while it lives.
  class ShownWait {
   public:
    ShownWait(Matcher& matcher, absl::Span<const OpId> ops);
    ~ShownWait() { matcher_.Unwatch(&waiter_); }
    ShownWait(const ShownWait&) = delete;
    ShownWait& operator=(const ShownWait&) = delete;

   private:
    Matcher& matcher_;
    Waiter waiter_;  // whom nothing rouses
  };

  // Wakes all waiters with `why`, which all later calls return; the first abort wins. RM_CHECKs
  // that `why` is an error.
  void Abort(const absl::Status& why);

  // ---- The wire's side.

  // The bytes of a send have left the caller's memory; of a loan, `returned`: they were borrowed
  // and returned. No effect after an abort.
  void FinishSend(OpId op, bool returned = false);

  struct Segment {
    NodeId from;
    Tag tag;
    int64_t total_bytes = 0;  // of the message
    int64_t offset = 0;       // of this segment in it
    int64_t length = 0;       // of this segment; 0 only for an empty message
  };
  struct Operation;
  // Opens the next segment of a message. Its `length` bytes must then be brought, in order, by
  // Append or by Direct and Commit. nullptr: there are none, or nobody wants them (the node was
  // aborted): drop them. Errors end the run: InvalidArgument for a segment that does not follow the
  // one before; ResourceExhausted, which also aborts this matcher, when the early limit is reached.
  absl::StatusOr<Operation*> BeginSegment(const Segment& segment);

  // As BeginSegment for a whole message at once, if its receive is posted or nobody wants it any
  // more; false, and nothing is changed, when the receive has yet to be posted.
  absl::StatusOr<bool> BeginIfPosted(const Segment& whole, Operation** message);

  // Where the next bytes may be written straight to: the rest of the segment; must be followed by
  // Commit. Empty: use Append (they are to be added or dropped).
  absl::Span<std::byte> Direct(Operation* message);

  // `count` (0 or more) bytes were written to what Direct returned. With the last byte the message
  // may be gone.
  void Commit(Operation* message, int64_t count);

  // A whole message that was begun and lies in memory that the receiver can borrow: hands it to the
  // receive, if that takes such loans; else false, and its bytes are brought as any other's.
  // `loan.read_only`: it was sent, not lent.
  bool Lend(Operation* message, const Loan& loan);

  // Copies or adds the message's next bytes; any number and alignment.
  void Append(Operation* message, absl::Span<const std::byte> bytes);

  // `peer` is lost. Receives from it are done, now and later: with Received.lost, or with
  // Unavailable where they have no Received. Segments from it are dropped from now on; one that is
  // open is brought to its end or abandoned.
  void Forget(NodeId peer);

  // The rest of the message's open segment will not come. REQUIRES: nothing is written to what
  // Direct returned.
  void Abandon(Operation* message);

 private:
  using Key = std::pair<NodeId, Tag>;

  Operation* NewOperation() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Recycle(Operation* op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  OpId GiveId(Operation* op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Operation* Find(OpId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Complete(Operation* op, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AbortLocked(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Consume(Operation* op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<int> TakeDone(absl::Span<const OpId> ids) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Operation*> BeginLocked(const Segment& segment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckPending(absl::Span<const OpId> ids) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<int> PollLocked(absl::Span<const OpId> ids) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<int> WaitLocked(absl::Span<const OpId> ids, MonotonicTime deadline, Waiter* waiter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake(Waiter* waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status HoldEarly(Operation* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseEarly(Operation* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckSize(Operation* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(Operation* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MoveEarly(Operation* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsForgotten(NodeId peer) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !forgotten_.empty() && forgotten_.contains(peer);
  }
  void EndLost(Operation* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::byte* Target(const Operation& message) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const NodeId self_;
  const int64_t early_bytes_limit_;

  std::atomic<uint64_t> changes_{0};  // operations done, and aborts; written under the mutex

  absl::Mutex mutex_;
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);
  int64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  int64_t early_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t segments_ ABSL_GUARDED_BY(mutex_) = 0;  // begun so far
  // by slot: of the operation there that is not yet waited for, or 0
  std::vector<OpId> ids_ ABSL_GUARDED_BY(mutex_);
  // not yet waited for, in the order in which they were done
  Operation* first_done_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Operation* last_done_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // posted, arriving or both
  absl::flat_hash_map<Key, Operation*> messages_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<NodeId> forgotten_ ABSL_GUARDED_BY(mutex_);
  std::vector<Waiter*> waiters_ ABSL_GUARDED_BY(mutex_);
  std::vector<Operation*> free_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Operation>> all_ ABSL_GUARDED_BY(mutex_);  // by slot
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_MATCHER_H_
