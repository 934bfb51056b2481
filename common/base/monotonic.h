#ifndef RINGMASTER_COMMON_BASE_MONOTONIC_H_
#define RINGMASTER_COMMON_BASE_MONOTONIC_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ringmaster {

// A moment of this machine's monotonic clock, which nobody can set: what durations and deadlines
// are measured by. Only differences mean anything, and only within one boot of one machine.
// absl::Time is for dates. A value.
class MonotonicTime {
 public:
  // Before every other moment but itself.
  constexpr MonotonicTime() : since_origin_(-absl::InfiniteDuration()) {}
  explicit constexpr MonotonicTime(absl::Duration since_origin) : since_origin_(since_origin) {}

  static constexpr MonotonicTime InfinitePast() { return MonotonicTime(); }
  static constexpr MonotonicTime InfiniteFuture() {
    return MonotonicTime(absl::InfiniteDuration());
  }

  // Since the clock's origin, mostly the machine's boot. Infinite for the two moments above.
  constexpr absl::Duration since_origin() const { return since_origin_; }

  MonotonicTime& operator+=(absl::Duration duration) {
    since_origin_ += duration;
    return *this;
  }
  friend MonotonicTime operator+(MonotonicTime time, absl::Duration duration) {
    return time += duration;
  }
  friend MonotonicTime operator-(MonotonicTime time, absl::Duration duration) {
    return time += -duration;
  }
  friend absl::Duration operator-(MonotonicTime a, MonotonicTime b) {
    return a.since_origin_ - b.since_origin_;
  }
  friend bool operator==(MonotonicTime a, MonotonicTime b) {
    return a.since_origin_ == b.since_origin_;
  }
  friend bool operator!=(MonotonicTime a, MonotonicTime b) { return !(a == b); }
  friend bool operator<(MonotonicTime a, MonotonicTime b) {
    return a.since_origin_ < b.since_origin_;
  }
  friend bool operator>(MonotonicTime a, MonotonicTime b) { return b < a; }
  friend bool operator<=(MonotonicTime a, MonotonicTime b) { return !(b < a); }
  friend bool operator>=(MonotonicTime a, MonotonicTime b) { return !(a < b); }

 private:
  absl::Duration since_origin_;
};

// Now, by CLOCK_MONOTONIC: it stands still while the machine is suspended. Any thread.
MonotonicTime MonotonicNow();

// A condition variable for absl::Mutex whose deadlines are moments of the monotonic clock. The
// timed waits of absl::Mutex and absl::CondVar follow the wall clock: set back by an hour, they
// last an hour longer. Thread-safe. Its destructor REQUIRES: nobody waits.
class MonotonicCondVar {
 public:
  MonotonicCondVar() = default;
  MonotonicCondVar(const MonotonicCondVar&) = delete;
  MonotonicCondVar& operator=(const MonotonicCondVar&) = delete;

  // Releases `mutex`, waits for a signal or for `deadline`, and takes `mutex` again. Returns
  // whether the deadline has passed; may also return false without a signal. REQUIRES: `mutex` is
  // held by the caller.
  bool WaitUntil(absl::Mutex* mutex, MonotonicTime deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // As WaitUntil, again and again until `done()`, which is called with `mutex` held. Returns the
  // last value of `done()`: false when the deadline came first. Callers are analysed; the body is
  // not, since `done` names the mutex by another expression.
  template <typename Predicate>
  bool AwaitUntil(absl::Mutex* mutex, MonotonicTime deadline, Predicate done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (bool late = false; !done(); late = WaitUntil(mutex, deadline)) {
      if (late) return false;
    }
    return true;
  }

  // Wakes one waiter, or all. REQUIRES: the caller holds the mutex of the waits, or has held it
  // since it changed what they wait for.
  void Signal() { Wake(1); }
  void SignalAll();

 private:
  void Wake(int count);

  std::atomic<uint32_t> signals_{0};  // a futex
  std::atomic<int32_t> waiters_{0};   // grows with the mutex held
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_MONOTONIC_H_
