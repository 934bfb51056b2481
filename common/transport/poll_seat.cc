#include "common/transport/poll_seat.h"
#include "common/base/monotonic.h"

#include <algorithm>

namespace ringmaster {

bool PollSeat::TryTake() {
  if (taken_.load(std::memory_order_relaxed) || taken_.exchange(true, std::memory_order_seq_cst))
    return false;
  turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return true;
}

void PollSeat::Leave() {
  taken_.store(false, std::memory_order_seq_cst);
  if (sleeper_count_.load(std::memory_order_seq_cst) > 0) CallSleeper();
}

void PollSeat::CallSleeper() {
  absl::MutexLock lock(&mutex_);
  // One that was called before and has not run yet will do: it takes the seat, or calls the next
  // when it does not need it.
  if (!taken() && !sleepers_.empty()) sleepers_.front()->matcher->Call(&sleepers_.front()->waiter);
}

absl::StatusOr<int> PollSeat::Sleep(Matcher& matcher, absl::Span<const OpId> ops,
                                    MonotonicTime deadline, MonotonicTime since) {
  Sleeper sleeper;
  sleeper.matcher = &matcher;
  sleeper.waiter.since = since;
  {
    absl::MutexLock lock(&mutex_);
    sleepers_.push_back(&sleeper);
    sleeper_count_.fetch_add(1, std::memory_order_seq_cst);
  }
  absl::StatusOr<int> result = -1;
  if (taken()) result = matcher.WaitAny(ops, deadline, &sleeper.waiter);
  {
    absl::MutexLock lock(&mutex_);
    sleepers_.erase(std::find(sleepers_.begin(), sleepers_.end(), &sleeper));
    sleeper_count_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (sleeper.waiter.called && (!result.ok() || *result >= 0)) CallSleeper();
  return result;
}

}  // namespace ringmaster
