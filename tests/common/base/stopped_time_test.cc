// The clock of a process that is stopped stands still.

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/stopped_time.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kStop = absl::Seconds(1);

// Waits for nothing that could come.
bool Wait(absl::Duration limit) {
  absl::Mutex mutex;
  MonotonicCondVar never;
  absl::MutexLock lock(&mutex);
  return never.AwaitUntil(&mutex, MonotonicNow() + limit, [] { return false; });
}

// A process that says when it is awake, waits for a deadline 0.7 s ahead, and ends with what came
// out; 0: all as it ought to be.
int WaitBesideAStop(int ready) {
  NoteAwake();
  std::thread([] {
    for (;;) {
      poll(nullptr, 0, absl::ToInt64Milliseconds(kAwakePeriod));  // by the system's clock
      NoteAwake();
    }
  }).detach();
  const absl::Time begin_on_the_wall = absl::Now();
  const char byte = 0;
  if (write(ready, &byte, 1) != 1) return 1;
  if (Wait(absl::Milliseconds(700))) return 2;
  // Both have passed in full: the wait and the stop, but for the part of it that may not be
  // noticed.
  if (absl::Now() - begin_on_the_wall < kStop + absl::Milliseconds(700) - kAwakeGapMax) return 3;
  if (StoppedTime() < kStop - 2 * kAwakeGapMax || StoppedTime() > kStop + absl::Seconds(2))
    return 4;
  return 0;
}

TEST(StoppedTime, IsLeftOutOfTheClockAndOfDeadlines) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) _exit(WaitBesideAStop(ends[1]));
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  kill(child, SIGSTOP);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  Wait(kStop);
  kill(child, SIGCONT);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(StoppedTime, IsNoneWhereNobodyNotesThatTheProcessIsAwake) {
  EXPECT_EQ(StoppedTime(), absl::ZeroDuration());
}

}  // namespace
}  // namespace ringmaster
