#include "experiments/program/run/take_turns.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
  void Start() override {
    ++started;
    clock_.now += absl::Seconds(7);
    ended_ = fails_at_ == 0;
  }
  void Grant(int64_t timed_from, int64_t end) override {
    EXPECT_FALSE(ended_);
    EXPECT_EQ(at_, end_) << "not parked";
    untimed.push_back(timed_from - at_);
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

  int started = 0;
  std::vector<int64_t> untimed;  // steps at the beginning of each turn

 private:
  HandClock& clock_;
  const int64_t steps_;
  const absl::Duration step_;
  const int64_t fails_at_;
  int64_t at_ = 0, end_ = 0;
  absl::Duration begun_;  // of the step under way
  bool ended_ = false;
};

std::vector<std::string> Texts(const std::vector<ArmTurn>& turns) {
  std::vector<std::string> texts;
  for (const ArmTurn& turn : turns)
    texts.push_back(absl::StrCat(turn.begin_step(), "-", turn.end_step()));
  return texts;
}

std::vector<std::vector<ArmTurn>> Take(HandClock* clock, std::vector<HandArm*> arms,
                                       std::vector<size_t>* order = nullptr) {
  std::vector<std::vector<ArmTurn>> turns;
  const std::vector<TurnArm*> seats(arms.begin(), arms.end());
  TakeTurns(
      {}, seats, [clock] { return MonotonicTime(clock->now); },
      [order](size_t arm) {
        if (order != nullptr) order->push_back(arm);
      },
      &turns);
  return turns;
}

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

TEST(WhyNoTurns, MemoryBeyondSixtyPercentOfWhatIsFreeOrMoreThanSixteenRanksACore) {
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
  needs.on_gpu = true;
  EXPECT_THAT(WhyNoTurns(needs), HasSubstr("on a GPU"));
}

}  // namespace
}  // namespace ringmaster
