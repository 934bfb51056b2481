#include "common/machine/processes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// A process that sleeps until it is killed.
class Sleeper {
 public:
  Sleeper() : pid_(fork()) {
    if (pid_ != 0) return;
    for (;;) pause();
  }
  ~Sleeper() { End(); }
  void End() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(LookAtProcess, TellsAProcessThatIsStoppedFromOneThatRunsAndFromNone) {
  Sleeper sleeper;
  const pid_t pid = sleeper.pid();
  const auto running = LookAtProcess(pid);
  ASSERT_TRUE(running.has_value());
  EXPECT_FALSE(running->is_suspended());
  EXPECT_TRUE(absl::StrContains(running->command, "processes_test")) << running->command;
  kill(pid, SIGSTOP);
  int how = 0;
  ASSERT_EQ(waitpid(pid, &how, WUNTRACED), pid);
  EXPECT_TRUE(LookAtProcess(pid)->is_suspended());
  sleeper.End();
  EXPECT_FALSE(LookAtProcess(pid).has_value());
}

TEST(LookAtProcess, CountsComputingTime) {
  const absl::Duration before = LookAtProcess(getpid())->cpu;
  volatile double sum = 0;
  while (LookAtProcess(getpid())->cpu < before + absl::Milliseconds(20)) {
    for (int i = 0; i < 100000; ++i) sum = sum + i;
  }
  EXPECT_GT(LookAtProcess(getpid())->cpu, before);
}

TEST(WhoListensAt, NamesThisProcessWhileItListensAndNobodyAfterwards) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string holder = WhoListensAt(ntohs(address.sin_port));
  EXPECT_TRUE(absl::StrContains(holder, absl::StrCat("pid ", getpid(), " ("))) << holder;
  EXPECT_TRUE(absl::StrContains(holder, "processes_test")) << holder;
  close(listener);
  EXPECT_EQ(WhoListensAt(ntohs(address.sin_port)), "");
}

}  // namespace
}  // namespace ringmaster
