#include "experiments/program/run/starting_processes.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/monotonic.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kPatience = absl::Milliseconds(500);

// A child that computes, or sleeps, until it is killed.
class Child {
 public:
  explicit Child(bool computes) : pid_(fork()) {
    if (pid_ != 0) return;
    for (;;) {
      if (!computes) pause();
    }
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

// Whether it is ever seen not to get on within a time of several patiences.
bool StandsStill(pid_t pid, absl::Duration limit) {
  StartingProcesses starting(kPatience);
  starting.Add(pid);
  for (const MonotonicTime end = MonotonicNow() + limit; MonotonicNow() < end;) {
    if (!starting.GetsOn(0)) return true;
    sched_yield();
  }
  return false;
}

TEST(StartingProcesses, OneThatComputesGetsOn) {
  const Child child(true);
  EXPECT_FALSE(StandsStill(child.pid(), 3 * kPatience));
}

TEST(StartingProcesses, OneThatSleepsDoesNotAfterAWhile) {
  const Child child(false);
  EXPECT_TRUE(StandsStill(child.pid(), Patience(30)));
}

TEST(StartingProcesses, OneThatIsSuspendedEndedOrUnknownDoesNot) {
  StartingProcesses starting(kPatience);
  EXPECT_FALSE(starting.GetsOn(0)) << "nobody was added";
  {
    const Child stopped(true);
    kill(stopped.pid(), SIGSTOP);
    int status = 0;
    waitpid(stopped.pid(), &status, WUNTRACED);
    starting.Add(stopped.pid());
    EXPECT_FALSE(starting.GetsOn(0));
    starting.Add(stopped.pid());
  }
  EXPECT_FALSE(starting.GetsOn(1)) << "it is gone";
}

}  // namespace
}  // namespace ringmaster
