#include "common/machine/process_end.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include <optional>

#include "common/machine/process_tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// A child that has ended, is not reaped, and is gone with this object.
class EndedChild {
 public:
  explicit EndedChild(void (*end)()) : pid_(fork()) {
    if (pid_ == 0) {
      end();
      _exit(0);
    }
    siginfo_t info;
    waitid(P_PID, pid_, &info, WEXITED | WNOWAIT);
  }
  ~EndedChild() { waitpid(pid_, nullptr, 0); }
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

TEST(ProcessEnd, OfAChildThatNobodyHasWaitedForIsSeen) {
  const EndedChild killed([] { raise(SIGKILL); });
  const EndedChild failed([] { _exit(3); });
  const EndedChild told([] { _exit(128 + SIGTERM); });
  ASSERT_TRUE(WaitStatusOf(killed.pid()) && WaitStatusOf(failed.pid()) && WaitStatusOf(told.pid()));
  EXPECT_EQ(EndText(*WaitStatusOf(killed.pid())), "signal 9 (Killed)");
  EXPECT_EQ(EndText(*WaitStatusOf(failed.pid())), "exit code 3");
  EXPECT_EQ(EndText(*WaitStatusOf(told.pid())), "exit code 143 (ended by SIGTERM)");
}

TEST(ProcessEnd, ALimitOfProcessorTimeIsNamedBesideTheSignalThatItGives) {
  const EndedChild killed([] { raise(SIGKILL); });
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_CPU, &limit), 0);
  const rlimit limited = {1000000, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_CPU, &limited), 0);
  const std::string text = EndText(*WaitStatusOf(killed.pid()));
  ASSERT_EQ(setrlimit(RLIMIT_CPU, &limit), 0);
  EXPECT_NE(text.find("limited to 1000000 s of it (ulimit -t, RLIMIT_CPU)"), std::string::npos)
      << text;
}

TEST(ProcessEnd, OfAProcessThatRunsIsNone) { EXPECT_EQ(WaitStatusOf(getpid()), std::nullopt); }

TEST(ProcessTree, HoldsChildrenOfChildrenAndSaysWhoIsSuspended) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const pid_t grandchild = fork();
    if (grandchild == 0) raise(SIGSTOP);
    if (write(ends[1], &grandchild, sizeof(grandchild)) < 0) _exit(1);
    for (;;) pause();
  }
  pid_t grandchild = 0;
  ASSERT_EQ(read(ends[0], &grandchild, sizeof(grandchild)),
            static_cast<ssize_t>(sizeof(grandchild)));
  EXPECT_THAT(DescendantsOf(getpid()), testing::ElementsAre(child, grandchild));
  while (!IsSuspended(grandchild)) sched_yield();
  EXPECT_FALSE(IsSuspended(child));
  EXPECT_EQ(ShortNameOf(child), ShortNameOf(getpid()));
  kill(grandchild, SIGKILL);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace ringmaster
