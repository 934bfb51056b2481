#include "worker/strategy/exchange_thread.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/check.h"
#include "common/base/check_context.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Kind = ExchangeTask::Kind;

ExchangeTask Task(int64_t step, int32_t bucket = 0) { return {Kind::kBucket, step, bucket, {}}; }

// Whatever is raised while a task waits or runs.
TEST(ExchangeThread, TimesOfStepsBelowTimedFromWhenTheyWerePostedAreThrownAway) {
  int64_t timed_from = 0;
  ExchangeThread exchange(8, 0, [](const ExchangeTask& task, PhaseTimes& times) {
    times.Add(Phase::kExchange, std::chrono::milliseconds(task.step));
    return absl::OkStatus();
  });
  exchange.TimeFrom(&timed_from);
  exchange.Post(Task(1));
  timed_from = 21;
  exchange.Post(Task(20));
  exchange.Post(Task(21));
  timed_from = 100;
  exchange.Stop();
  EXPECT_EQ(exchange.times().Milliseconds(Phase::kExchange), 22);
}

TEST(ExchangeThread, RunsTasksInTheOrderTheyWerePosted) {
  std::vector<int32_t> seen;  // the exchange thread's until Stop
  ExchangeThread exchange(100, 0, [&](const ExchangeTask& task, PhaseTimes&) {
    seen.push_back(task.bucket);
    return absl::OkStatus();
  });
  for (int32_t i = 0; i < 100; ++i) EXPECT_EQ(exchange.Post(Task(0, i)), i + 1);
  exchange.Stop();
  ASSERT_EQ(seen.size(), 100u);
  for (int32_t i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
}

TEST(ExchangeThread, WaitForReturnsAfterThatTaskAndBeforeLaterOnes) {
  absl::Notification let_second_run;
  bool first_ran = false;
  ExchangeThread exchange(4, 0, [&](const ExchangeTask& task, PhaseTimes&) {
    if (task.bucket == 0) first_ran = true;
    if (task.bucket == 1) let_second_run.WaitForNotification();
    return absl::OkStatus();
  });
  EXPECT_TRUE(exchange.WaitFor(0).ok());
  const int64_t first = exchange.Post(Task(0, 0));
  const int64_t second = exchange.Post(Task(0, 1));
  EXPECT_TRUE(exchange.WaitFor(first).ok());
  EXPECT_TRUE(first_ran);
  let_second_run.Notify();
  EXPECT_TRUE(exchange.WaitFor(second).ok());
}

TEST(ExchangeThread, AWaitBeginsBeforeTheTaskIsDoneAndStillReturns) {
  absl::Notification go;
  bool ran = false;
  ExchangeThread exchange(2, 0, [&](const ExchangeTask&, PhaseTimes&) {
    go.WaitForNotification();
    ran = true;
    return absl::OkStatus();
  });
  const int64_t number = exchange.Post(Task(0));
  std::thread waker([&] { go.Notify(); });
  EXPECT_TRUE(exchange.WaitFor(number).ok());
  EXPECT_TRUE(ran);
  waker.join();
}

TEST(ExchangeThread, TheFirstErrorIsKeptAndLaterTasksAreDropped) {
  std::vector<int32_t> seen;
  ExchangeThread exchange(8, 0, [&](const ExchangeTask& task, PhaseTimes&) {
    seen.push_back(task.bucket);
    if (task.bucket == 1) return absl::UnavailableError("the first");
    if (task.bucket > 1) return absl::InternalError("a later one");
    return absl::OkStatus();
  });
  int64_t last = 0;
  for (int32_t i = 0; i < 4; ++i) last = exchange.Post(Task(0, i));
  EXPECT_EQ(exchange.WaitFor(last), absl::UnavailableError("the first"));
  EXPECT_EQ(exchange.status(), absl::UnavailableError("the first"));
  EXPECT_EQ(exchange.WaitFor(exchange.Post(Task(1, 4))), absl::UnavailableError("the first"));
  exchange.Stop();
  EXPECT_EQ(seen, (std::vector<int32_t>{0, 1}));
}

TEST(ExchangeThread, TimesOfWarmUpStepsAreThrownAway) {
  ExchangeThread exchange(8, 3, [](const ExchangeTask& task, PhaseTimes& times) {
    times.Add(Phase::kExchange, std::chrono::milliseconds(task.step < 3 ? 1000 : 10));
    return absl::OkStatus();
  });
  for (int64_t step = 0; step < 5; ++step) exchange.Post(Task(step));
  exchange.Stop();
  EXPECT_EQ(exchange.times().Milliseconds(Phase::kExchange), 20.0);
}

TEST(ExchangeThread, StopRunsWhatIsQueued) {
  absl::Notification go;
  int ran = 0;
  ExchangeThread exchange(8, 0, [&](const ExchangeTask&, PhaseTimes&) {
    go.WaitForNotification();
    ++ran;
    return absl::OkStatus();
  });
  for (int i = 0; i < 8; ++i) exchange.Post(Task(0));
  std::thread waker([&] { go.Notify(); });
  exchange.Stop();
  EXPECT_EQ(ran, 8);
  waker.join();
}

TEST(ExchangeThread, TheQueueGoesRoundManyTimes) {
  int64_t sum = 0;
  ExchangeThread exchange(3, 0, [&](const ExchangeTask& task, PhaseTimes&) {
    sum += task.step;
    return absl::OkStatus();
  });
  for (int64_t step = 0; step < 100; ++step)
    EXPECT_TRUE(exchange.WaitFor(exchange.Post(Task(step))).ok());
  exchange.Stop();
  EXPECT_EQ(sum, 99 * 100 / 2);
}

// Each task leaves work unfinished that ends when `finish_after` tasks have been started.
class LastingWork : public ExchangeWork {
 public:
  LastingWork(int finish_after, absl::Status advance_status = absl::OkStatus())
      : finish_after_(finish_after), advance_status_(std::move(advance_status)) {}

  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
    unfinished_ = ++started_ < finish_after_;
    return absl::OkStatus();
  }
  bool unfinished() const override { return unfinished_; }
  absl::Status Advance(PhaseTimes& times) override {
    advancing_.Notify();
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&woken_));
    return advance_status_;
  }
  void Wake() override {
    absl::MutexLock lock(&mutex_);
    woken_ = true;
  }

  void AwaitAdvance() { advancing_.WaitForNotification(); }
  int started() const { return started_; }

 private:
  const int finish_after_;
  const absl::Status advance_status_;
  int started_ = 0;          // the exchange thread's until Stop
  bool unfinished_ = false;  // the exchange thread's until Stop
  absl::Notification advancing_;
  absl::Mutex mutex_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(ExchangeThread, ATaskStartsThoughEarlierWorkIsUnfinishedAndTheThreadSleepsInIt) {
  LastingWork work(2);
  ExchangeThread exchange(4, 0, work);
  EXPECT_TRUE(exchange.WaitFor(exchange.Post(Task(0, 0))).ok());
  work.AwaitAdvance();
  // would sleep for ever without a wake
  EXPECT_TRUE(exchange.WaitFor(exchange.Post(Task(0, 1))).ok());
  exchange.Stop();
  EXPECT_EQ(work.started(), 2);
}

TEST(ExchangeThread, AnErrorOfUnfinishedWorkIsKeptAndLaterTasksAreDropped) {
  LastingWork work(100, absl::UnavailableError("gone"));
  ExchangeThread exchange(4, 0, work);
  exchange.Post(Task(0, 0));
  work.AwaitAdvance();
  work.Wake();
  while (exchange.status().ok()) std::this_thread::yield();
  EXPECT_EQ(exchange.WaitFor(exchange.Post(Task(0, 1))), absl::UnavailableError("gone"));
  exchange.Stop();
  EXPECT_EQ(work.started(), 1);
}

TEST(ExchangeThread, StopFinishesWhatIsUnfinished) {
  class Countdown : public ExchangeWork {
   public:
    absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
      left += 5;
      return absl::OkStatus();
    }
    bool unfinished() const override { return left > 0; }
    absl::Status Advance(PhaseTimes& times) override {
      --left;
      return absl::OkStatus();
    }
    void Wake() override {}
    int left = 0;
  };
  Countdown work;
  ExchangeThread exchange(4, 0, work);
  exchange.Post(Task(0));
  exchange.Post(Task(0));
  exchange.Stop();
  EXPECT_EQ(work.left, 0);
}

TEST(ExchangeThreadDeathTest, AFullQueueIsABug) {
  EXPECT_DEATH(
      {
        absl::Notification never;
        ExchangeThread exchange(1, 0, [&](const ExchangeTask&, PhaseTimes&) {
          never.WaitForNotification();
          return absl::OkStatus();
        });
        exchange.Post(Task(0));
        exchange.Post(Task(0));
      },
      "posted_ - done_");
}

TEST(ExchangeThreadDeathTest, AFailedCheckOfItsWorkNamesTheWorkerThatMadeItAndTheStep) {
  std::atomic<int64_t> step{9};
  const ScopedCheckContext context("worker/5", &step);
  const auto run = [] {
    ExchangeThread exchange(4, 0, [](const ExchangeTask& task, PhaseTimes&) {
      RM_CHECK(task.bucket != 2);
      return absl::OkStatus();
    });
    exchange.Post(Task(9, 2));
  };
  EXPECT_DEATH(run(), "task.bucket != 2; worker/5 step=9 ");
}

}  // namespace
}  // namespace ringmaster
