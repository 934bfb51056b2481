#ifndef RINGMASTER_COMMON_TRANSPORT_POLL_SEAT_H_
#define RINGMASTER_COMMON_TRANSPORT_POLL_SEAT_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/matcher.h"
#include "common/transport/transport.h"

namespace ringmaster {

// Which of a process's waiting threads looks after its sockets: one at a time. The others sleep in
// their matchers, until an operation of theirs is done or the seat is theirs to take. Taking and
// leaving the seat cost an atomic operation each while nobody sleeps. Thread-safe.
class PollSeat {
 public:
  PollSeat() = default;
  PollSeat(const PollSeat&) = delete;
  PollSeat& operator=(const PollSeat&) = delete;

  // Takes the seat, if it is free. What its holder before did is visible then.
  bool TryTake();

  // The holder's: gives the seat up and calls one of those who sleep.
  void Leave();

  // Waits as Matcher::WaitAny while others hold the seat; -1 when it may be free: try to take it.
  // `since`: when the wait began that this is part of, for the text of one that is late;
  // InfinitePast: now.
  absl::StatusOr<int> Sleep(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime deadline,
                            MonotonicTime since = MonotonicTime::InfinitePast());

  // For who watches whether anybody polls at all: how often the seat was taken, and whether it is.
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  bool taken() const { return taken_.load(std::memory_order_seq_cst); }

 private:
  struct Sleeper {
    Matcher* matcher = nullptr;
    Matcher::Waiter waiter;
  };
  void CallSleeper();

  // A sleeper counts itself and then looks at the seat; who leaves frees the seat and then looks at
  // the count: one of the two sees the other.
  std::atomic<bool> taken_{false};
  std::atomic<int32_t> sleeper_count_{0};
  std::atomic<uint64_t> turns_{0};  // written by the holder

  absl::Mutex mutex_;  // taken before a matcher's
  std::vector<Sleeper*> sleepers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_POLL_SEAT_H_
