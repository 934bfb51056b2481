#include "experiments/program/run/take_turns.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/machine/conditions.h"
#include "experiments/program/run/run_in_turns.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The time of all arms, which passes where they run.
struct HandClock {
  absl::Duration now = absl::Seconds(1000);
};

// An arm whose steps take equally long; it fails when it comes to step `fails_at`, without which it
// runs to its end.
class HandArm : public TurnArm {
 public:
  HandArm(HandClock* clock, int64_t steps, absl::Duration step, int64_t fails_at = -1)
      : clock_(*clock), steps_(steps), step_(step), fails_at_(fails_at) {}

  int64_t steps() const override { return steps_; }
  int64_t first_step() const override { return first_; }
  // It was stopped before that step.
  void GoOnFrom(int64_t step) { first_ = at_ = end_ = step; }
  void Start() override {
    ++started;
    clock_.now += absl::Seconds(7);
    ended_ = fails_at_ == 0;
  }
  void Grant(int64_t timed_from, int64_t end) override {
    EXPECT_FALSE(ended_);
    EXPECT_EQ(at_, end_) << "not parked";
    untimed.push_back(timed_from - at_);
    timed_from_ = timed_from;
    end_ = end;
  }
  int64_t Cut(int64_t least) override {
    // The step under way cannot be taken back.
    end_ = std::min(end_, std::max(at_ + 1, least));
    return end_;
  }
  bool AwaitEnd(int64_t end, absl::Duration limit) override {
    EXPECT_EQ(end, end_);
    const absl::Duration until = clock_.now + limit;
    while (at_ < end_ && !ended_) {
      const absl::Duration left = step_ - begun_;
      if (clock_.now + left > until) {
        begun_ += until - clock_.now;
        clock_.now = until;
        return false;
      }
      clock_.now += left;
      begun_ = absl::ZeroDuration();
      ++at_;
      if (at_ == fails_at_ || at_ == steps_) ended_ = true;
    }
    return true;
  }
  bool ended() const override { return ended_; }
  double TimedSeconds() const override {
    return at_ < end_ ? 0 : absl::ToDoubleSeconds(step_ * (end_ - timed_from_));
  }

  int started = 0;
  std::vector<int64_t> untimed;  // steps at the beginning of each turn

 private:
  HandClock& clock_;
  const int64_t steps_;
  const absl::Duration step_;
  const int64_t fails_at_;
  int64_t first_ = 0, at_ = 0, end_ = 0, timed_from_ = 0;
  absl::Duration begun_;  // of the step under way
  bool ended_ = false;
};

std::vector<std::string> Texts(const std::vector<ArmTurn>& turns) {
  std::vector<std::string> texts;
  for (const ArmTurn& turn : turns)
    texts.push_back(absl::StrCat(turn.begin_step(), "-", turn.end_step()));
  return texts;
}

std::vector<TakenTurns> TakeWatched(std::vector<HandArm*> arms, const TurnWatch& watch) {
  std::vector<TakenTurns> taken;
  const std::vector<TurnArm*> seats(arms.begin(), arms.end());
  TakeTurns({}, seats, watch, &taken);
  return taken;
}

std::vector<std::vector<ArmTurn>> Take(HandClock* clock, std::vector<HandArm*> arms,
                                       std::vector<size_t>* order = nullptr) {
  const auto taken = TakeWatched(std::move(arms), {[clock] { return MonotonicTime(clock->now); },
                                                   [] { return MachineReading(); },
                                                   [order](size_t arm) {
                                                     if (order != nullptr) order->push_back(arm);
                                                   }});
  std::vector<std::vector<ArmTurn>> turns;
  turns.reserve(taken.size());
  for (const TakenTurns& of_arm : taken) turns.push_back(of_arm.turns);
  return turns;
}

// A machine of four cores that something disturbs for a while, and does so only then: another
// process on one core, a heat throttle a second, a quota that cuts half of its periods of 0.1 s, or
// a stop.
class HandMachine {
 public:
  explicit HandMachine(const HandClock& clock) : clock_(clock) {}

  void SetDisturbed(bool disturbed) {
    Pass();
    disturbed_ = disturbed;
  }
  MachineReading Read() {
    Pass();
    return counts_;
  }

 private:
  void Pass() {
    const absl::Duration passed = clock_.now - seen_;
    const double seconds = absl::ToDoubleSeconds(passed);
    seen_ = clock_.now;
    counts_.at = MonotonicTime(clock_.now);
    counts_.core_seconds += 4 * seconds;
    counts_.busy_seconds += (disturbed_ ? 2 : 1) * seconds;
    counts_.own_seconds += seconds;
    throttles_ += disturbed_ ? seconds : 0;
    counts_.throttles = static_cast<int64_t>(throttles_ + 1e-6);
    periods_ += 10 * seconds;
    throttled_ += disturbed_ ? 5 * seconds : 0;
    counts_.quota.periods = static_cast<int64_t>(periods_ + 1e-6);
    counts_.quota.throttled = static_cast<int64_t>(throttled_ + 1e-6);
    if (disturbed_) counts_.stopped += passed / 10;
  }

  const HandClock& clock_;
  absl::Duration seen_ = clock_.now;
  bool disturbed_ = false;
  MachineReading counts_;
  double throttles_ = 0, periods_ = 0, throttled_ = 0;
};

TEST(TakeTurns, ATurnEndsAfterAHundredStepsOrFiveSecondsButNotBeforeTenSteps) {
  HandClock clock;
  HandArm quick(&clock, 250, absl::Milliseconds(1));
  HandArm middling(&clock, 60, absl::Milliseconds(240));
  HandArm slow(&clock, 25, absl::Seconds(2));
  const auto turns = Take(&clock, {&quick, &middling, &slow});
  EXPECT_THAT(Texts(turns[0]), ElementsAre("0-100", "100-200", "200-250"));
  EXPECT_THAT(Texts(turns[1]), ElementsAre("0-21", "21-42", "42-60"));
  EXPECT_THAT(Texts(turns[2]), ElementsAre("0-10", "10-20", "20-25"));
  EXPECT_THAT(quick.untimed, ElementsAre(3, 3, 3));
  EXPECT_THAT(slow.untimed, ElementsAre(3, 3, 3));
}

TEST(TakeTurns, AnArmThatGoesOnBeginsWhereItWasStopped) {
  HandClock clock;
  HandArm anew(&clock, 250, absl::Milliseconds(1)), resumed(&clock, 250, absl::Milliseconds(1));
  resumed.GoOnFrom(130);
  const auto turns = Take(&clock, {&anew, &resumed});
  EXPECT_THAT(Texts(turns[0]), ElementsAre("0-100", "100-200", "200-250"));
  EXPECT_THAT(Texts(turns[1]), ElementsAre("130-230", "230-250"));
}

TEST(TakeTurns, OfAnArmOfAFewStepsAllAreTimed) {
  HandClock clock;
  HandArm few(&clock, 9, absl::Milliseconds(1)), more(&clock, 10, absl::Milliseconds(1));
  Take(&clock, {&few, &more});
  EXPECT_THAT(few.untimed, ElementsAre(0));
  EXPECT_THAT(more.untimed, ElementsAre(3));
}

TEST(TakeTurns, GoRoundInOrderAndOneArmRunsAtATime) {
  HandClock clock;
  HandArm one(&clock, 200, absl::Milliseconds(1)), two(&clock, 300, absl::Milliseconds(2));
  std::vector<size_t> order;
  const auto turns = Take(&clock, {&one, &two}, &order);
  EXPECT_THAT(order, ElementsAre(0, 1, 0, 1, 0, 1, 1)) << "both start, then turns";
  EXPECT_EQ(one.started, 1);
  EXPECT_EQ(turns[0][0].begin_seconds(), 0) << "since the first turn, not the first start";
  EXPECT_NEAR(turns[0][0].seconds(), 0.1, 1e-9);
  EXPECT_NEAR(turns[1][0].begin_seconds(), 0.1, 1e-9);
  EXPECT_NEAR(turns[0][1].begin_seconds(), 0.3, 1e-9);
  EXPECT_NEAR(turns[1][1].begin_seconds(), 0.4, 1e-9);
  EXPECT_NEAR(turns[1][2].begin_seconds(), 0.6, 1e-9);
}

TEST(TakeTurns, AnArmThatFailsLeavesTheOthersTheirTurns) {
  HandClock clock;
  HandArm never(&clock, 200, absl::Milliseconds(1), 0);
  HandArm fails(&clock, 200, absl::Milliseconds(1), 130);
  HandArm lives(&clock, 300, absl::Milliseconds(1));
  const auto turns = Take(&clock, {&never, &fails, &lives});
  EXPECT_TRUE(turns[0].empty());
  EXPECT_THAT(Texts(turns[1]), ElementsAre("0-100", "100-200"));
  EXPECT_THAT(Texts(turns[2]), ElementsAre("0-100", "100-200", "200-300"));
}

TEST(TakeTurns, APaceIsOfTheTimedStepsOfWholeTurnsSoFar) {
  HandClock clock;
  HandArm quick(&clock, 205, absl::Milliseconds(1)), slow(&clock, 25, absl::Seconds(2));
  HandArm fails(&clock, 300, absl::Milliseconds(4), 130);
  std::vector<TakenTurns> taken;
  std::vector<std::vector<int64_t>> steps;  // by round and arm
  const auto note = [&] {
    std::vector<int64_t>& of_round = steps.emplace_back();
    for (const TakenTurns& of_arm : taken) of_round.push_back(of_arm.pace.steps);
  };
  TakeTurns({}, std::vector<TurnArm*>{&quick, &slow, &fails},
            {[&clock] { return MonotonicTime(clock.now); }, [] { return MachineReading(); },
             [](size_t) {}, note},
            &taken);
  EXPECT_THAT(steps, ElementsAre(ElementsAre(97, 7, 97), ElementsAre(194, 14, 97),
                                 ElementsAre(196, 16, 97)))
      << "a turn in which an arm failed says nothing";
  EXPECT_NEAR(taken[0].pace.seconds, 0.196, 1e-9);
  EXPECT_NEAR(taken[1].pace.seconds, 32, 1e-9);
}

TEST(TakeTurns, WhatDisturbsOneArmsTurnsIsToldOfThatArmAlone) {
  HandClock clock;
  HandMachine machine(clock);
  // 300 steps of 10 ms: 3 turns of 1 s, and 7 s to start.
  HandArm before(&clock, 300, absl::Milliseconds(10)),
      disturbed(&clock, 300, absl::Milliseconds(10)), after(&clock, 300, absl::Milliseconds(10));
  int begun = 0;
  const auto taken =
      TakeWatched({&before, &disturbed, &after},
                  {[&clock] { return MonotonicTime(clock.now); }, [&] { return machine.Read(); },
                   [&](size_t arm) {
                     // All is quiet while arms are started.
                     machine.SetDisturbed(arm == 1 && ++begun > 1);
                   }});
  for (const size_t quiet : {0, 2}) {
    const Conditions conditions = taken[quiet].conditions.Total();
    EXPECT_NEAR(conditions.seconds(), 10, 1e-6);
    EXPECT_NEAR(conditions.foreign_share(), 0, 1e-9);
    EXPECT_EQ(conditions.throttles(), 0);
    EXPECT_EQ(conditions.stopped_seconds(), 0);
    EXPECT_EQ(conditions.quota_periods(), 100);
    EXPECT_EQ(conditions.quota_throttled_periods(), 0);
    EXPECT_THAT(DisturbanceCauses({&conditions}), ElementsAre());
  }
  const Conditions conditions = taken[1].conditions.Total();
  EXPECT_NEAR(conditions.seconds(), 10, 1e-6);
  EXPECT_NEAR(conditions.foreign_share(), 3.0 / 40, 1e-9) << "3 s of 40 core seconds";
  EXPECT_EQ(conditions.throttles(), 3);
  EXPECT_NEAR(conditions.stopped_seconds(), 0.3, 1e-9);
  EXPECT_EQ(conditions.quota_periods(), 100);
  EXPECT_EQ(conditions.quota_throttled_periods(), 15);
  EXPECT_EQ(DisturbanceCauses({&conditions}).size(), 4);
}

TEST(TakeTurns, WhatDisturbsAnArmsStartIsToldOfThatArmToo) {
  HandClock clock;
  HandMachine machine(clock);
  HandArm one(&clock, 100, absl::Milliseconds(10)), two(&clock, 100, absl::Milliseconds(10));
  int begun = 0;
  const auto taken = TakeWatched(
      {&one, &two}, {[&clock] { return MonotonicTime(clock.now); }, [&] { return machine.Read(); },
                     [&](size_t arm) { machine.SetDisturbed(arm == 0 && ++begun == 1); }});
  EXPECT_NEAR(taken[0].conditions.Total().foreign_share(), 7.0 / 32, 1e-9);
  EXPECT_NEAR(taken[1].conditions.Total().foreign_share(), 0, 1e-9);
}

TEST(WhyNoTurns, MemoryBeyondSixtyPercentOfWhatIsFreeSixteenRanksACoreOrTheLimitOfOpenFiles) {
  TurnNeeds needs;
  needs.planned_bytes = 6'000'000'000;
  needs.free_bytes = 10'000'000'000;
  needs.ranks = 32;
  needs.cores = 2;
  EXPECT_EQ(WhyNoTurns(needs), "");
  needs.free_bytes = 9'900'000'000;
  EXPECT_THAT(WhyNoTurns(needs), HasSubstr("6.0 GB, more than 60 % of the 9.9 GB"));
  needs.free_bytes.reset();
  EXPECT_EQ(WhyNoTurns(needs), "");
  needs.ranks = 33;
  EXPECT_THAT(WhyNoTurns(needs), HasSubstr("33 ranks, more than 16 for each of 2 cores"));
  needs.ranks = 3;
  EXPECT_EQ(WhyNoTurns(needs), "");
  needs.descriptors = 33;
  EXPECT_EQ(WhyNoTurns(needs), "");
  needs.descriptor_limit = 33;
  EXPECT_EQ(WhyNoTurns(needs), "");
  needs.descriptor_limit = 32;
  EXPECT_EQ(WhyNoTurns(needs),
            "together they have 3 ranks, for which this process needs up to 33 open files, and its "
            "limit is 32 (ulimit -n): raise it, or say --no-turns");
  needs.on_gpu = true;
  EXPECT_THAT(WhyNoTurns(needs), HasSubstr("on a GPU"));
}

}  // namespace
}  // namespace ringmaster
