#include "common/base/monotonic.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

namespace ringmaster {

MonotonicTime MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return MonotonicTime(absl::DurationFromTimespec(now));
}

bool MonotonicCondVar::WaitUntil(absl::Mutex* mutex, MonotonicTime deadline) {
  const uint32_t heard = signals_.load(std::memory_order_relaxed);
  waiters_.fetch_add(1, std::memory_order_relaxed);
  mutex->Unlock();
  // The kernel refuses moments before the clock's origin; those are over anyway.
  const timespec until = absl::ToTimespec(std::max(deadline.since_origin(), absl::ZeroDuration()));
  const bool for_ever = deadline == MonotonicTime::InfiniteFuture();
  // Without FUTEX_CLOCK_REALTIME `until` is on CLOCK_MONOTONIC. The deadline is judged by the clock, not by the result.
  syscall(SYS_futex, &signals_, FUTEX_WAIT_BITSET_PRIVATE, heard, for_ever ? nullptr : &until, nullptr,
          FUTEX_BITSET_MATCH_ANY);
  mutex->Lock();
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  return signals_.load(std::memory_order_relaxed) == heard && MonotonicNow() >= deadline;
}

void MonotonicCondVar::SignalAll() { Wake(INT_MAX); }

void MonotonicCondVar::Wake(int count) {
  static_assert(sizeof(signals_) == sizeof(uint32_t));
  if (waiters_.load(std::memory_order_relaxed) == 0) return;
  signals_.fetch_add(1, std::memory_order_relaxed);
  syscall(SYS_futex, &signals_, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

}  // namespace ringmaster
