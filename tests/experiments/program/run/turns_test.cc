#include "experiments/program/run/turns.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

absl::Status Running() { return absl::OkStatus(); }

struct Sides {
  std::unique_ptr<TurnGiver> giver;
  std::unique_ptr<TurnTaker> taker;
};

Sides Make(int32_t workers, int64_t steps) {
  auto giver = TurnGiver::Create(workers, steps);
  EXPECT_TRUE(giver.ok()) << giver.status();
  auto taker = TurnTaker::Open((*giver)->path());
  EXPECT_TRUE(taker.ok()) << taker.status();
  return {*std::move(giver), *std::move(taker)};
}

void AwaitAll(const TurnGiver& giver, int64_t step) {
  ASSERT_TRUE(giver.AwaitAll(step, Patience(10))) << "step " << step;
}

TEST(Turns, AWorkerPassesOnlyGrantedSteps) {
  Sides sides = Make(2, 3);
  std::vector<std::thread> workers;
  std::atomic<int64_t> passed[2] = {};
  for (int32_t rank = 0; rank < 2; ++rank) {
    workers.emplace_back([&, rank] {
      for (int64_t step = 0; step < 3; ++step) {
        EXPECT_TRUE(sides.taker->Await(rank, step, Running).ok());
        ++passed[rank];
      }
    });
  }
  for (const int64_t end : {1, 2}) {
    AwaitAll(*sides.giver, end - 1);
    EXPECT_EQ(passed[0], end - 1);
    EXPECT_EQ(passed[1], end - 1);
    sides.giver->Grant({end, end});
    AwaitAll(*sides.giver, end);
    EXPECT_GE(sides.giver->Seconds(), 0);
  }
  sides.giver->Grant({2, 3});
  for (std::thread& worker : workers) worker.join();
}

TEST(Turns, OfATurnTheFirstStepsAreNotTimed) {
  Sides sides = Make(1, 8);
  sides.giver->Grant({2, 4});
  for (const int64_t step : {0, 1, 2, 3}) {
    const absl::StatusOr<bool> is_timed = sides.taker->Await(0, step, Running);
    ASSERT_TRUE(is_timed.ok()) << is_timed.status();
    EXPECT_EQ(*is_timed, step >= 2);
  }
}

TEST(Turns, ALotMayPassOverStepsAndTheEndIsTheLastTurns) {
  Sides sides = Make(2, 8);
  sides.giver->Grant({0, 4});
  EXPECT_TRUE(sides.taker->Await(0, 3, Running).ok());
  // Nothing is left for worker 1: it waits as the others do, until all is granted.
  std::thread worker([&] { EXPECT_TRUE(sides.taker->Await(1, 8, Running).ok()); });
  std::thread other([&] { EXPECT_TRUE(sides.taker->Await(0, 6, Running).ok()); });
  AwaitAll(*sides.giver, 4);
  sides.giver->Grant({4, 8});
  worker.join();
  other.join();
}

// All workers run freely, and the turn is cut wherever they are.
TEST(Turns, ACutTurnEndsBeforeTheSameStepForAll) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    constexpr int64_t kSteps = 1000000;
    Sides sides = Make(3, kSteps);
    std::atomic<bool> over{false};
    std::atomic<int64_t> last[3] = {};
    std::vector<std::thread> workers;
    const auto is_over = [&] { return over ? absl::AbortedError("over") : absl::OkStatus(); };
    for (int32_t rank = 0; rank < 3; ++rank) {
      workers.emplace_back([&, rank] {
        for (int64_t step = 0; sides.taker->Await(rank, step, is_over).ok(); ++step)
          last[rank] = step;
      });
    }
    Random random(seed);
    int64_t begin = 0;
    AwaitAll(*sides.giver, 0);
    for (int turn = 0; turn < 40; ++turn) {
      const MonotonicTime given = MonotonicNow();
      sides.giver->Grant({begin, begin + 10000});
      const auto away = static_cast<int64_t>(random.Below(300));
      while (last[turn % 3] < begin + away) std::this_thread::yield();
      const int64_t end = sides.giver->Cut(begin + 10);
      EXPECT_GE(end, begin + 10);
      EXPECT_LE(end, begin + 10000);
      AwaitAll(*sides.giver, end);
      for (const std::atomic<int64_t>& of_worker : last) EXPECT_EQ(of_worker, end - 1);
      EXPECT_GT(sides.giver->Seconds(), 0);
      EXPECT_LE(sides.giver->Seconds(), absl::ToDoubleSeconds(MonotonicNow() - given));
      begin = end;
    }
    over = true;
    sides.taker->Rouse();
    for (std::thread& worker : workers) worker.join();
  }
}

TEST(Turns, TheRunsFailureEndsTheWait) {
  Sides sides = Make(1, 3);
  EXPECT_EQ(sides.taker->Await(0, 2, [] { return absl::AbortedError("over"); }).status(),
            absl::AbortedError("over"));
}

TEST(Turns, NobodyWaitsForAGiverThatIsGone) {
  Sides sides = Make(1, 3);
  sides.giver.reset();
  EXPECT_TRUE(sides.taker->Await(0, 2, Running).ok());
}

TEST(Turns, WhoIsParkedUsesNoProcessor) {
  Sides sides = Make(1, 3);
  std::thread worker([&] { EXPECT_TRUE(sides.taker->Await(0, 0, Running).ok()); });
  AwaitAll(*sides.giver, 0);
  clockid_t clock;
  ASSERT_EQ(pthread_getcpuclockid(worker.native_handle(), &clock), 0);
  const auto used = [clock] {
    timespec time{};
    clock_gettime(clock, &time);
    return absl::DurationFromTimespec(time);
  };
  const absl::Duration before = used();
  EXPECT_FALSE(sides.giver->AwaitAll(1, absl::Milliseconds(2500)));
  EXPECT_LT(used() - before, absl::Milliseconds(5));
  sides.giver->Grant({0, 3});
  worker.join();
}

TEST(Turns, AnotherKindOfFileIsRefused) {
  EXPECT_EQ(TurnTaker::Open("/nowhere").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(TurnTaker::Open("/dev/null").ok());
}

}  // namespace
}  // namespace ringmaster
