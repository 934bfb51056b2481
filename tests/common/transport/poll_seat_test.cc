#include "common/base/monotonic.h"
#include "common/transport/poll_seat.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr NodeId kSelf = {Role::kWorker, 0};
constexpr NodeId kPeer = {Role::kWorker, 1};

MonotonicTime Soon() { return MonotonicNow() + Patience(30); }

Tag TagOf(int64_t step) { return {MessageKind::kTest, 0, 0, step}; }

// An operation that nobody finishes.
OpId Never(Matcher& matcher, int64_t step) { return *matcher.AddSend(kPeer, TagOf(step)); }

TEST(PollSeat, OfManyThreadsThatWantItOneHasItAndNoneIsForgotten) {
  constexpr int kThreads = 4;
  constexpr int kTurns = 2000;
  PollSeat seat;
  int turns_taken = 0;  // guarded by the seat
  std::vector<absl::Status> failures(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      Matcher matcher(kSelf, 0);
      const OpId never = Never(matcher, i);
      for (int turn = 0; turn < kTurns;) {
        if (seat.TryTake()) {
          ++turns_taken;
          ++turn;
          seat.Leave();
          continue;
        }
        // Sleeps for ever when the one who leaves overlooks it.
        const absl::StatusOr<int> called = seat.Sleep(matcher, {never}, Soon());
        if (called.ok()) continue;
        failures[i] = called.status();
        break;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& failure : failures) EXPECT_TRUE(failure.ok()) << failure;
  EXPECT_EQ(turns_taken, kThreads * kTurns);
  EXPECT_EQ(seat.turns(), static_cast<uint64_t>(kThreads * kTurns));
  EXPECT_FALSE(seat.taken());
}

TEST(PollSeat, SleeperWhoseOperationIsDoneWhenItIsCalledPassesTheCallOn) {
  for (int round = 0; round < 500; ++round) {
    PollSeat seat;
    Matcher first_matcher(kSelf, 0), second_matcher(kSelf, 0);
    const OpId done_soon = Never(first_matcher, 1);
    const OpId never = Never(second_matcher, 2);
    ASSERT_TRUE(seat.TryTake());
    absl::StatusOr<int> first = 0, second = 0;
    // Who is called has to try: taking the seat is how it learns whether it is needed.
    const auto rest = [&](Matcher& matcher, OpId op) {
      const absl::StatusOr<int> result = seat.Sleep(matcher, {op}, Soon());
      if (result.ok() && *result < 0 && seat.TryTake()) seat.Leave();
      return result;
    };
    std::thread first_thread([&] { first = rest(first_matcher, done_soon); });
    std::thread second_thread([&] { second = rest(second_matcher, never); });
    std::thread finisher([&] { first_matcher.FinishSend(done_soon); });
    seat.Leave();
    finisher.join();
    first_thread.join();
    second_thread.join();
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_TRUE(second.ok()) << second.status();
    EXPECT_EQ(*second, -1);
  }
}

TEST(PollSeat, SleepEndsByItsOwnOperationWhileAnotherPolls) {
  PollSeat seat;
  Matcher matcher(kSelf, 0);
  const OpId op = Never(matcher, 1);
  ASSERT_TRUE(seat.TryTake());
  absl::StatusOr<int> done = -1;
  std::thread sleeper([&] { done = seat.Sleep(matcher, {Never(matcher, 2), op}, Soon()); });
  matcher.FinishSend(op);
  sleeper.join();
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 1);
  EXPECT_FALSE(seat.TryTake());
  EXPECT_EQ(seat.Sleep(matcher, {Never(matcher, 3)}, MonotonicNow()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace ringmaster
