#include "common/machine/conditions.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Computes for so long.
void Burn(std::chrono::milliseconds time) {
  volatile double sink = 1;
  for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end;)
    sink = std::sqrt(sink + 1);
}

TEST(Conditions, AProcessThatIsNotWaitedForIsForeign) {
  const ConditionsMeter meter;
  const pid_t child = fork();
  if (child == 0) {
    Burn(std::chrono::seconds(30));
    _exit(0);
  }
  ASSERT_GT(child, 0);
  Burn(std::chrono::milliseconds(600));
  const Conditions conditions = meter.End();
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  // A core's worth of it, less the clock's coarse ticks and what others take.
  EXPECT_GT(conditions.foreign_share() * sysconf(_SC_NPROCESSORS_ONLN), 0.2);
  EXPECT_LE(conditions.foreign_share(), 1);
  EXPECT_GE(conditions.seconds(), 0.6);
  EXPECT_LT(conditions.seconds(), 30);
}

}  // namespace
}  // namespace ringmaster
