#include "common/base/monotonic.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

TEST(MonotonicTime, InfinitiesStayAndDifferencesAreDurations) {
  const MonotonicTime now = MonotonicNow();
  EXPECT_EQ((now + absl::Seconds(3)) - now, absl::Seconds(3));
  EXPECT_EQ(MonotonicTime::InfiniteFuture() + absl::Seconds(3), MonotonicTime::InfiniteFuture());
  EXPECT_EQ(MonotonicTime::InfiniteFuture() - now, absl::InfiniteDuration());
  EXPECT_LT(MonotonicTime::InfinitePast(), now);
  EXPECT_LT(now - absl::Seconds(1), now);
  EXPECT_LE(now, MonotonicNow());
}

TEST(MonotonicCondVar, AwaitUntilEndsAtItsDeadlineWhenNobodySignals) {
  absl::Mutex mutex;
  MonotonicCondVar changed;
  absl::MutexLock lock(&mutex);
  const MonotonicTime begin = MonotonicNow();
  EXPECT_FALSE(changed.AwaitUntil(&mutex, begin + absl::Milliseconds(20), [] { return false; }));
  EXPECT_GE(MonotonicNow() - begin, absl::Milliseconds(20));
  // Moments that are over end a wait at once, even those before the clock's origin.
  EXPECT_TRUE(changed.WaitUntil(&mutex, begin));
  EXPECT_TRUE(changed.WaitUntil(&mutex, MonotonicTime::InfinitePast()));
}

// Threads hand a turn around: where a signal is lost the deadline comes, and tells.
TEST(MonotonicCondVar, NoSignalIsLostBetweenThreadsThatTakeTurns) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 5000;
  absl::Mutex mutex;
  MonotonicCondVar changed;
  int turn = 0;
  std::atomic<int> late{0};
  std::vector<std::thread> threads;
  for (int self = 0; self < kThreads; ++self) {
    threads.emplace_back([&, self] {
      for (int round = 0; round < kRounds && late == 0; ++round) {
        absl::MutexLock lock(&mutex);
        const auto mine = [&] { return turn % kThreads == self; };
        if (!changed.AwaitUntil(&mutex, MonotonicNow() + Patience(30), mine)) ++late;
        ++turn;
        changed.SignalAll();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(late, 0);
  EXPECT_EQ(turn, kThreads * kRounds);
}

// One signal a waiter, and no deadline that would help.
TEST(MonotonicCondVar, EverySignalWakesAWaiterThatHasNoDeadline) {
  constexpr int kThreads = 4;
  absl::Mutex mutex;
  MonotonicCondVar changed;
  int tickets = 0;
  int taken = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      absl::MutexLock lock(&mutex);
      changed.AwaitUntil(&mutex, MonotonicTime::InfiniteFuture(), [&] { return tickets > 0; });
      --tickets;
      ++taken;
    });
  }
  for (int i = 0; i < kThreads; ++i) {
    absl::MutexLock lock(&mutex);
    ++tickets;
    changed.Signal();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, kThreads);
}

}  // namespace
}  // namespace ringmaster
