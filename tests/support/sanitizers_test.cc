// ./test --asan and ./test --tsan find what they are there for. A build without them skips these.

#include <climits>
#include <memory>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kAddress = true;
#else
constexpr bool kAddress = false;
#endif
#ifdef __SANITIZE_THREAD__
constexpr bool kThread = true;
#else
constexpr bool kThread = false;
#endif

// Adds on two threads at once, with or without the mutex, and waits for a sum under it.
int Sum(bool guarded) {
  absl::Mutex mutex;
  int sum = 0;
  const auto add = [&] {
    for (int i = 0; i < 1000; ++i) {
      if (guarded) mutex.Lock();
      ++sum;
      if (guarded) mutex.Unlock();
    }
  };
  std::thread other(add);
  add();
  other.join();
  return sum;
}

TEST(ThreadSanitizer, FindsAnAccessWithoutTheMutexAndNoneWithIt) {
  if (!kThread) GTEST_SKIP() << "not built with --config=tsan";
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EQ(Sum(/*guarded=*/true), 2000);
  EXPECT_DEATH(Sum(/*guarded=*/false), "data race");
}

TEST(ThreadSanitizer, KnowsThatAnAwaitComesAfterWhatItWaitsFor) {
  if (!kThread) GTEST_SKIP() << "not built with --config=tsan";
  absl::Mutex mutex;
  bool told = false;
  auto number = std::make_unique<int>(1);
  std::thread other([&] {
    *number = 2;
    absl::MutexLock lock(&mutex);
    told = true;
  });
  {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&told));
  }
  EXPECT_EQ(*number, 2);
  other.join();
}

TEST(ThreadSanitizer, KnowsThatWhoIsNotifiedComesAfterTheNotifier) {
  if (!kThread) GTEST_SKIP() << "not built with --config=tsan";
  auto number = std::make_unique<int>(0);
  for (int round = 0; round < 200; ++round) {
    absl::Notification asked, answered;
    std::thread other([&] {
      asked.WaitForNotification();
      ++*number;
      answered.Notify();
    });
    ++*number;
    asked.Notify();
    answered.WaitForNotification();
    EXPECT_EQ(*number, 2 * (round + 1));
    other.join();
  }
}

TEST(AddressSanitizer, FindsMemoryUsedAfterItsEnd) {
  if (!kAddress) GTEST_SKIP() << "not built with --config=asan";
  auto number = std::make_unique<int>(1);
  const volatile int* const stale = number.get();
  number = nullptr;
  EXPECT_DEATH(static_cast<void>(*stale), "heap-use-after-free");
}

TEST(UndefinedBehaviorSanitizer, FindsAnOverflowAndEndsTheProgram) {
  if (!kAddress) GTEST_SKIP() << "not built with --config=asan";
  volatile int most = INT_MAX;
  EXPECT_DEATH(most = most + 1, "signed integer overflow");
}

}  // namespace
}  // namespace ringmaster
