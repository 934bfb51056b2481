#include "common/transport/polling_fabric.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>

#include "common/base/check.h"
#include "common/base/monotonic.h"

namespace ringmaster {
namespace {

// When no thread has polled for this long, the helper does.
constexpr absl::Duration kPatience = absl::Milliseconds(2);
// When it has so often found the seat held by the same thread, which then naps, it rests.
constexpr int kLooksBeforeRest = 50;
// Who spins looks so often before it lets others run: each look is a system call for each
// connection. With four ranks on two cores, 64 looks made an all-reduce of 4 KiB 5 times as slow as
// sleeping.
constexpr int kLooksBeforeYield = 4;

}  // namespace

PollingFabric::PollingFabric(const FabricOptions& options, bool spins)
    : FabricBase(options), spins_(spins) {}

PollingFabric::~PollingFabric() { RM_CHECK(!helper_.joinable()); }

// The helper takes no signals: they are the main thread's to handle.
void PollingFabric::StartPolling(const char* helper_name) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  helper_ = std::thread([this] { RunHelper(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(helper_.native_handle(), helper_name);
}

void PollingFabric::StopPolling() {
  if (!helper_.joinable()) return;
  {
    absl::MutexLock lock(&helper_mutex_);
    stopping_.store(true);
    helper_stops_.Signal();
  }
  Rouse();
  helper_.join();
}

absl::StatusOr<int> PollingFabric::WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                              MonotonicTime deadline) {
  const uint64_t seen = matcher.changes();
  absl::StatusOr<int> done = matcher.Poll(ops);
  if (!done.ok() || *done >= 0) return done;
  const MonotonicTime begin = MonotonicNow();
  while (done.ok() && *done < 0) {
    if (seat_.TryTake()) {
      done = Carry(matcher, ops, {begin, deadline}, seen);
      seat_.Leave();
      if (helper_rests_.load(std::memory_order_seq_cst)) WakeHelper();
      return done;
    }
    done = SleepWhileOthersPoll(matcher, ops, {begin, deadline});
  }
  return done;
}

absl::StatusOr<int> PollingFabric::SleepWhileOthersPoll(Matcher& matcher,
                                                        absl::Span<const OpId> ops,
                                                        const Term& term) {
  wanting_.fetch_add(1, std::memory_order_seq_cst);
  if (helper_naps_.load(std::memory_order_seq_cst)) Rouse();
  const absl::StatusOr<int> done = seat_.Sleep(matcher, ops, term.deadline, term.begin);
  wanting_.fetch_sub(1, std::memory_order_relaxed);
  return done;
}

// The seat's holder: moves bytes until one of `ops` is done. `seen`: the matcher's changes that
// were looked at.
absl::StatusOr<int> PollingFabric::Carry(Matcher& matcher, absl::Span<const OpId> ops,
                                         const Term& term, uint64_t seen) {
  MonotonicTime spin_end = spins_ ? MonotonicNow() + kSpin : term.begin;
  bool was_idle = true;
  for (int looks = 0;;) {
    const uint64_t changes = matcher.changes();
    if (changes != seen) {
      seen = changes;
      const absl::StatusOr<int> done = matcher.Poll(ops);
      if (!done.ok() || *done >= 0) return done;
    }
    if (Look()) {
      was_idle = false;
      continue;
    }
    if (spins_ && ++looks % kLooksBeforeYield != 0) continue;
    const MonotonicTime now = MonotonicNow();
    if (now >= term.deadline) return matcher.Late(ops, now - term.begin);
    if (!was_idle && spins_) spin_end = now + kSpin;
    was_idle = true;
    if (now < spin_end) {
      sched_yield();  // ranks may share cores
      continue;
    }
    seen = matcher.changes();
    const absl::StatusOr<int> done =
        NapUnlessDone(matcher, ops, std::min(term.deadline - now, absl::Minutes(1)));
    if (!done.ok() || *done >= 0) return done;
    looks = 0;
  }
}

absl::StatusOr<int> PollingFabric::NapUnlessDone(Matcher& matcher, absl::Span<const OpId> ops,
                                                 absl::Duration limit) {
  Matcher::Waiter waiter(this);
  const absl::StatusOr<int> done = matcher.Watch(ops, &waiter);
  if (!done.ok() || *done >= 0) return done;
  Nap(limit, [&] { matcher.Unwatch(&waiter); });
  return -1;
}

// Only looks at the clock while others poll: to them it costs nothing. Who wants the seat and is
// called to it may have to wait for a core: the helper does not ask again before its next pause.
void PollingFabric::RunHelper() {
  uint64_t turns = seat_.turns();
  int looks = 0;  // at the same holder of the seat
  while (PauseHelper()) {
    looks = seat_.taken() && seat_.turns() == turns ? looks + 1 : 0;
    if (looks >= kLooksBeforeRest) RestHelper(turns);
    while (!seat_.taken() && seat_.turns() == turns && !stopping_.load() && seat_.TryTake()) {
      turns = seat_.turns();
      helper_naps_.store(true, std::memory_order_seq_cst);
      const bool is_wanted = wanting_.load(std::memory_order_seq_cst) != 0;
      if (!is_wanted && !stopping_.load()) Nap(absl::Minutes(1), [] {});
      helper_naps_.store(false, std::memory_order_seq_cst);
      seat_.Leave();
      if (is_wanted) break;
    }
    turns = seat_.turns();
  }
}

void PollingFabric::RestHelper(uint64_t turns) {
  helper_rests_.store(true, std::memory_order_seq_cst);
  if (!seat_.taken() || seat_.turns() != turns) return helper_rests_.store(false);
  absl::MutexLock lock(&helper_mutex_);
  helper_stops_.AwaitUntil(&helper_mutex_, MonotonicTime::InfiniteFuture(),
                           [this] { return stopping_.load() || !helper_rests_.load(); });
  helper_rests_.store(false);
}

void PollingFabric::WakeHelper() {
  absl::MutexLock lock(&helper_mutex_);
  helper_rests_.store(false);
  helper_stops_.Signal();
}

// Returns after kPatience; false when polling stops.
bool PollingFabric::PauseHelper() {
  absl::MutexLock lock(&helper_mutex_);
  return !helper_stops_.AwaitUntil(&helper_mutex_, MonotonicNow() + kPatience,
                                   [this] { return stopping_.load(); });
}

}  // namespace ringmaster
