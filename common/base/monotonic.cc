#include "common/base/monotonic.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>
#include <limits>

#include "common/base/stopped_time.h"

namespace ringmaster {

namespace {

// The clock of a process, in nanoseconds: the system's minus the time stopped, but never past the
// last moment that a process which is awake can see. Written by the thread of NoteAwake, the stop
// before the bound; read the other way around, so that no reader has a new bound with an old stop,
// which would be too late a time.
std::atomic<int64_t> stopped_ns{0};
std::atomic<int64_t> bound_ns{std::numeric_limits<int64_t>::max()};

int64_t SystemNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

MonotonicTime MonotonicNow() {
  const int64_t bound = bound_ns.load(std::memory_order_acquire);
  const int64_t now = SystemNs() - stopped_ns.load(std::memory_order_acquire);
  return MonotonicTime(absl::Nanoseconds(std::min(now, bound)));
}

void NoteAwake() {
  const int64_t now = SystemNs();
  const int64_t bound = bound_ns.load(std::memory_order_relaxed);
  int64_t stopped = stopped_ns.load(std::memory_order_relaxed);
  if (now - stopped > bound) {
    stopped = now - bound;
    stopped_ns.store(stopped, std::memory_order_release);
  }
  bound_ns.store(now - stopped + absl::ToInt64Nanoseconds(kAwakeGapMax), std::memory_order_release);
}

absl::Duration StoppedTime() {
  const int64_t bound = bound_ns.load(std::memory_order_acquire);
  const int64_t stopped = stopped_ns.load(std::memory_order_acquire);
  // Of a stop that NoteAwake has not come to yet, all is known too.
  return absl::Nanoseconds(stopped + std::max<int64_t>(0, SystemNs() - stopped - bound));
}

bool MonotonicCondVar::WaitUntil(absl::Mutex* mutex, MonotonicTime deadline) {
  const uint32_t heard = signals_.load(std::memory_order_relaxed);
  waiters_.fetch_add(1, std::memory_order_relaxed);
  mutex->Unlock();
  // The kernel refuses moments before the clock's origin; those are over anyway.
  const absl::Duration on_system_clock = deadline.since_origin() + StoppedTime();
  const timespec until = absl::ToTimespec(std::max(on_system_clock, absl::ZeroDuration()));
  const bool for_ever = deadline == MonotonicTime::InfiniteFuture();
  // Without FUTEX_CLOCK_REALTIME `until` is on CLOCK_MONOTONIC. The deadline is judged by the
  // clock, not by the result.
  syscall(SYS_futex, &signals_, FUTEX_WAIT_BITSET_PRIVATE, heard, for_ever ? nullptr : &until,
          nullptr, FUTEX_BITSET_MATCH_ANY);
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
