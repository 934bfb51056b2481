#include "experiments/program/run/turns.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

absl::Status Running() { return absl::OkStatus(); }

TEST(Turns, AWorkerPassesOnlyGrantedSteps) {
  auto giver = TurnGiver::Create(2, 3);
  ASSERT_TRUE(giver.ok()) << giver.status();
  auto taker = TurnTaker::Open((*giver)->path());
  ASSERT_TRUE(taker.ok()) << taker.status();
  (*giver)->Grant(1);
  EXPECT_EQ((*taker)->Await(0, 0, Running), absl::OkStatus());
  EXPECT_EQ((*taker)->Await(1, 0, Running), absl::OkStatus());
  EXPECT_TRUE((*giver)->AllCameTo(0));
  EXPECT_FALSE((*giver)->AllCameTo(1));
  std::atomic<bool> passed{false};
  absl::Notification waits;
  std::thread worker([&] {
    // The second question comes from within the wait.
    int questions = 0;
    EXPECT_EQ((*taker)->Await(0, 1,
                              [&] {
                                if (++questions == 2) waits.Notify();
                                return absl::OkStatus();
                              }),
              absl::OkStatus());
    passed = true;
  });
  waits.WaitForNotification();
  EXPECT_FALSE(passed);
  EXPECT_FALSE((*giver)->AllCameTo(1)) << "worker 1 has not come";
  (*giver)->Grant(2);
  worker.join();
  EXPECT_EQ((*taker)->Await(1, 1, Running), absl::OkStatus());
  ASSERT_TRUE((*giver)->AllCameTo(1));
  EXPECT_GT((*giver)->Seconds(0, 1), 0);
}

TEST(Turns, TheRunsFailureEndsTheWait) {
  auto giver = TurnGiver::Create(1, 3);
  ASSERT_TRUE(giver.ok()) << giver.status();
  auto taker = TurnTaker::Open((*giver)->path());
  ASSERT_TRUE(taker.ok()) << taker.status();
  EXPECT_EQ((*taker)->Await(0, 2, [] { return absl::AbortedError("over"); }),
            absl::AbortedError("over"));
}

TEST(Turns, NobodyWaitsForAGiverThatIsGone) {
  auto giver = TurnGiver::Create(1, 3);
  ASSERT_TRUE(giver.ok()) << giver.status();
  auto taker = TurnTaker::Open((*giver)->path());
  ASSERT_TRUE(taker.ok()) << taker.status();
  giver->reset();
  EXPECT_EQ((*taker)->Await(0, 2, Running), absl::OkStatus());
}

TEST(Turns, AnotherKindOfFileIsRefused) {
  EXPECT_EQ(TurnTaker::Open("/proc/self/exe/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(TurnTaker::Open("/dev/null").ok());
}

}  // namespace
}  // namespace ringmaster
