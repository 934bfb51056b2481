#include "common/machine/conditions.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "absl/time/time.h"
#include "common/machine/process_stat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using SteadyClock = std::chrono::steady_clock;

// Computes for so long.
void Burn(std::chrono::milliseconds time) {
  volatile double sink = 1;
  for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end;)
    sink = std::sqrt(sink + 1);
}

// A process that burns and is nobody's descendant here: its parent is gone. Killed at the end.
class ForeignLoad {
 public:
  ForeignLoad() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      const pid_t load = fork();
      if (load == 0) {
        Burn(std::chrono::seconds(30));
        _exit(0);
      }
      _exit(write(ends[1], &load, sizeof(load)) == sizeof(load) ? 0 : 1);
    }
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(read(ends[0], &pid_, sizeof(pid_)), static_cast<ssize_t>(sizeof(pid_)));
    close(ends[0]);
    close(ends[1]);
  }
  ~ForeignLoad() { kill(pid_, SIGKILL); }

 private:
  pid_t pid_ = 0;
};

// Of all cores, what a core's worth is.
double OneCore() { return 1.0 / static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)); }

TEST(Conditions, SeesWhatOtherProcessesUse) {
  const ConditionsMeter meter;
  const ForeignLoad load;
  Burn(std::chrono::milliseconds(600));
  const Conditions conditions = meter.End();
  // Less the clock's coarse ticks and what others take.
  EXPECT_GT(conditions.foreign_share(), 0.2 * OneCore());
  EXPECT_LE(conditions.foreign_share(), 1);
  EXPECT_GE(conditions.seconds(), 0.6);
  EXPECT_LT(conditions.seconds(), 30);
}

TEST(Conditions, WhatThisProcessHasStartedIsItsOwnWhileItLivesAndAfterwards) {
  const double before = ConditionsMeter::OwnSeconds();
  const pid_t child = fork();
  if (child == 0) {
    Burn(std::chrono::seconds(600));
    _exit(0);
  }
  ASSERT_GT(child, 0);
  const auto used = [child] { return absl::ToDoubleSeconds(ReadProcessStat(child)->cpu); };
  while (used() < 0.2) Burn(std::chrono::milliseconds(1));
  const double own = ConditionsMeter::OwnSeconds();
  EXPECT_GE(own - before, 0.2);
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_GE(ConditionsMeter::OwnSeconds(), own);
}

TEST(ConditionsSum, SharesAreOfTheWholeTimeAndCutAtZeroOnlyTogether) {
  ConditionsSum sum;
  EXPECT_EQ(sum.Total().seconds(), 0);
  const auto stretch = [&sum](double core_seconds, double busy, double own, double stolen) {
    MachineReading begin, end;
    begin.at = MonotonicTime(absl::Seconds(10));
    begin.load = core_seconds;
    begin.core_seconds = 1000;
    end.core_seconds = 1000 + core_seconds;
    end.busy_seconds = busy;
    end.own_seconds = own;
    end.stolen_seconds = stolen;
    end.at = begin.at + absl::Seconds(core_seconds / 2);
    sum.Add(begin, end);
  };
  stretch(8, 3, 4, 0);
  EXPECT_EQ(sum.Total().foreign_share(), 0);
  stretch(2, 2, 0, 1);
  const Conditions total = sum.Total();
  EXPECT_EQ(total.seconds(), 5);
  EXPECT_EQ(total.load_before(), 8);
  EXPECT_EQ(total.foreign_share(), 0.1) << "2 - 1 of 10 core seconds";
  EXPECT_EQ(total.stolen_share(), 0.1);
}

TEST(DisturbanceCauses, NamesTheMostOfAnyRun) {
  Conditions quiet, busy, slow;
  quiet.set_foreign_share(0.04);
  EXPECT_TRUE(DisturbanceCauses({&quiet}).empty());
  EXPECT_TRUE(DisturbanceCauses({}).empty());
  busy.set_foreign_share(0.9);
  slow.set_stolen_share(0.02);
  slow.set_quota_periods(40);
  slow.set_quota_throttled_periods(10);
  EXPECT_THAT(DisturbanceCauses({&busy}), ElementsAre("other processes used 90 % of the cores"));
  EXPECT_THAT(DisturbanceCauses({&busy, &slow}),
              ElementsAre("other processes used up to 90 % of the cores",
                          "other virtual machines took up to 2 % of the cores",
                          "a CPU quota stopped it in up to 25 % of its periods"));
}

}  // namespace
}  // namespace ringmaster
