#include "common/machine/short_turns.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// The turn that the calling thread has; 0 where the kernel does not say.
uint64_t TurnNs() {
  uint64_t attributes[6] = {};  // the kernel's struct sched_attr; its fourth word is the turn
  EXPECT_EQ(syscall(SYS_sched_getattr, 0, attributes, sizeof(attributes), 0), 0);
  return attributes[3];
}

TEST(ShortTurns, AreGivenToTheThreadThatAsksAndToNoOtherAndLeaveItsPriority) {
  const uint64_t usual = TurnNs();
  std::thread asks([usual] {
    const int policy = sched_getscheduler(0);
    const int nice = getpriority(PRIO_PROCESS, 0);
    ASSERT_TRUE(AskForShortTurns(absl::Microseconds(200)));
    if (usual != 0) {
      EXPECT_EQ(TurnNs(), 200'000u);
    }
    EXPECT_EQ(sched_getscheduler(0), policy);
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice);
  });
  asks.join();
  EXPECT_EQ(TurnNs(), usual);
}

}  // namespace
}  // namespace ringmaster
