// The server's state machine under random schedules, and the check itself under servers that are
// broken on purpose.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/proof/verify/consistency_check.h"
#include "experiments/proof/verify/shard_schedule.h"
#include "experiments/proof/verify/shard_under_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/consistency/forwarding_shard.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

TEST(Schedules, AHundredThousandRandomOnesAgreeWithTheOracle) {
  const absl::StatusOr<std::string> figures = CheckSchedules(1, 120000, MakeShardCore);
  ASSERT_TRUE(figures.ok()) << figures.status();
  std::printf("%s\n", figures->c_str());
}

TEST(Schedules, RandomCasesCoverEveryConsistencyModelAndBound) {
  int bsp = 0, clipping = 0, asynchronous = 0;
  std::vector<int> ssp(4, 0);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const ScheduleCase c = RandomScheduleCase(seed);
    if (c.bsp) {
      ++bsp;
      EXPECT_EQ(c.bound, 0);
      if (c.clips) ++clipping;
    } else if (!c.bound.has_value()) {
      ++asynchronous;
    } else {
      ++ssp.at(*c.bound);
    }
  }
  EXPECT_GT(bsp, 100);
  EXPECT_GT(clipping, 50);
  EXPECT_GT(asynchronous, 100);
  for (const int count : ssp) EXPECT_GT(count, 100);
}

// A real shard, of a plan that may be bent, whose calls and answers may be bent too.
class Twin : public ForwardingShard {
 public:
  Twin(const ShardPlan& plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : ForwardingShard(MakeShardCore(plan, std::move(update), std::move(weights))) {}

 protected:
  std::vector<std::vector<float>> bent_;
};

// Pushes `factor` times what it is given, for one worker: 2 applies a push twice, 0 loses it, 1.5
// scales it wrongly.
template <int kHalves>
class Scales : public Twin {
 public:
  using Twin::Twin;
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    if (push.worker != 0 || push.step != 1) return Twin::OnPush(push, ready);
    bent_.emplace_back(push.gradient.begin(), push.gradient.end());
    for (float& value : bent_.back()) value *= 0.5f * kHalves;
    bent_.push_back(bent_.back());
    Push scaled = push;
    scaled.gradient = bent_.back();
    return Twin::OnPush(scaled, ready);
  }
};

// Reports success for a push that it refused: the repeated one seems welcome.
class WelcomesRepeats : public Twin {
 public:
  using Twin::Twin;
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    Twin::OnPush(push, ready).IgnoreError();
    return absl::OkStatus();
  }
};

// A gate one clock too wide: a read past the bound.
class ReadsTooEarly : public Twin {
 public:
  ReadsTooEarly(ShardPlan plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : Twin(Widened(std::move(plan)), std::move(update), std::move(weights)) {}

 private:
  static ShardPlan Widened(ShardPlan plan) {
    if (plan.contributions_per_update == 1 && plan.staleness_bound.has_value())
      ++*plan.staleness_bound;
    return plan;
  }
};

// A gate one clock too narrow: correct weights, too late.
class AnswersTooLate : public Twin {
 public:
  AnswersTooLate(ShardPlan plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : Twin(Narrowed(std::move(plan)), std::move(update), std::move(weights)) {}

 private:
  static ShardPlan Narrowed(ShardPlan plan) {
    if (plan.staleness_bound.has_value() && *plan.staleness_bound > 0) --*plan.staleness_bound;
    return plan;
  }
};

// A rule that leaves clipping to the server and lets it go without: every part is updated by
// itself, and whole.
class UnclippedRule : public UpdateRule {
 public:
  explicit UnclippedRule(std::unique_ptr<UpdateRule> real) : real_(std::move(real)) {}
  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) override {
    real_->Apply(step, gradient, weights);
  }
  bool clips() const override { return false; }
  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const override {
    return real_->SumOfSquares(begin, gradient);
  }
  float ClipFactor(double sum_of_squares) const override {
    return real_->ClipFactor(sum_of_squares);
  }
  State Give() const override { return real_->Give(); }
  absl::Status Take(const State& state) override { return real_->Take(state); }

 protected:
  const std::unique_ptr<UpdateRule> real_;
};

// Under BSP applies contributions as they come, so that reads hold a part of the next clock.
class MixesClocks : public Twin {
 public:
  MixesClocks(ShardPlan plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : Twin(OnArrival(std::move(plan)), std::make_unique<UnclippedRule>(std::move(update)),
             std::move(weights)) {}

 private:
  static ShardPlan OnArrival(ShardPlan plan) {
    plan.contributions_per_update = 1;
    return plan;
  }
};

// Forgets the last of the parked pulls that a push releases.
class ForgetsParked : public Twin {
 public:
  using Twin::Twin;
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    const absl::Status status = Twin::OnPush(push, ready);
    if (ready->size() > 1) ready->pop_back();
    return status;
  }
};

// Counts every contribution as fresh.
class CountsNoStaleness : public Twin {
 public:
  using Twin::Twin;
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    Push fresh = push;
    fresh.read_version =
        push.part < static_cast<int32_t>(versions().size()) ? versions()[push.part] : 0;
    return Twin::OnPush(fresh, ready);
  }
};

class NeverClips : public Twin {
 public:
  NeverClips(const ShardPlan& plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : Twin(plan, std::make_unique<UnclippedRule>(std::move(update)), std::move(weights)) {}
};

// Clips each part by its own norm, as a server would that knows of no other part.
class ClipsAlone : public Twin {
 public:
  ClipsAlone(const ShardPlan& plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : Twin(plan, std::make_unique<Rule>(std::move(update)), std::move(weights)) {}

 private:
  class Rule : public UnclippedRule {
   public:
    using UnclippedRule::UnclippedRule;
    void Apply(const UpdateStep& step, absl::Span<const float> gradient,
               absl::Span<float> weights) override {
      UpdateStep clipped = step;
      clipped.clip = ClipFactor(SumOfSquares(step.begin, gradient));
      real_->Apply(clipped, gradient, weights);
    }
  };
};

template <typename Broken>
std::string Finding() {
  const absl::StatusOr<std::string> figures = CheckSchedules(
      1, 2000,
      [](const ShardPlan& plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights) {
        return std::unique_ptr<ShardUnderCheck>(
            new Broken(plan, std::move(update), std::move(weights)));
      });
  return figures.ok() ? "nothing found" : std::string(figures.status().message());
}

TEST(SchedulesCheck, PassesATwinThatChangesNothing) { EXPECT_EQ(Finding<Twin>(), "nothing found"); }

TEST(SchedulesCheck, FindsAPushThatIsAppliedTwice) {
  EXPECT_THAT(Finding<Scales<4>>(), HasSubstr("counts 2 times"));
}

TEST(SchedulesCheck, FindsAPushThatIsLost) {
  EXPECT_THAT(Finding<Scales<0>>(), HasSubstr("counts 0 times"));
}

TEST(SchedulesCheck, FindsAPushThatIsScaledWrongly) {
  EXPECT_THAT(Finding<Scales<3>>(), HasSubstr("counts 1.5 times"));
}

TEST(SchedulesCheck, FindsARepeatedPushThatIsWelcome) {
  EXPECT_THAT(Finding<WelcomesRepeats>(), HasSubstr("is not refused"));
}

TEST(SchedulesCheck, FindsAReadPastTheBound) {
  EXPECT_THAT(Finding<ReadsTooEarly>(), HasSubstr("answers the pulls of workers"));
}

TEST(SchedulesCheck, FindsAnAnswerThatCouldHaveComeEarlier) {
  EXPECT_THAT(Finding<AnswersTooLate>(), HasSubstr("answers the pulls of workers"));
}

TEST(SchedulesCheck, FindsClocksThatAreMixedUnderBsp) {
  EXPECT_THAT(Finding<MixesClocks>(), HasSubstr("BSP"));
}

TEST(SchedulesCheck, FindsAParkedPullThatIsNeverReleased) {
  EXPECT_THAT(Finding<ForgetsParked>(), HasSubstr("answers the pulls of workers"));
}

TEST(SchedulesCheck, FindsAServerThatDoesNotClip) {
  EXPECT_THAT(Finding<NeverClips>(), HasSubstr("BSP, clipping"));
}

TEST(SchedulesCheck, FindsAPartThatIsClippedByItself) {
  EXPECT_THAT(Finding<ClipsAlone>(), HasSubstr("BSP, clipping"));
}

TEST(SchedulesCheck, FindsAHistogramThatDiffersFromTheOracles) {
  EXPECT_THAT(Finding<CountsNoStaleness>(), HasSubstr("the histogram has"));
}

TEST(Schedules, AWorkerAloneIsNeverStaleWhateverTheOrder) {
  ScheduleCounts counts;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    ASSERT_EQ(RunSchedule({seed, 1, 2, 4, false, int64_t{0}}, MakeShardCore, &counts),
              absl::OkStatus());
  }
  EXPECT_EQ(counts.stale, 0);
  EXPECT_EQ(counts.pushes, 100 * 2 * 4);
}

}  // namespace
}  // namespace ringmaster
