#include "server/shard_core.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "common/update/update_rule.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

OptimizerSpec Sgd(float rate) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(rate);
  return spec;
}

ShardCore Core(ShardPlan plan, const OptimizerSpec& spec, const Floats& weights) {
  absl::StatusOr<std::unique_ptr<UpdateRule>> update =
      CreateUpdateRule(spec, {static_cast<int64_t>(weights.size())});
  EXPECT_TRUE(update.ok()) << update.status();
  return ShardCore(std::move(plan), *std::move(update), weights);
}

ShardPlan Bsp(int32_t workers, std::vector<int64_t> parts) {
  return {workers, workers, 0, 8 * workers, parts};
}
ShardPlan Ssp(int32_t workers, int64_t bound, std::vector<int64_t> parts) {
  return {workers, 1, bound, 8 * workers, parts};
}
ShardPlan Asynchronous(int32_t workers, std::vector<int64_t> parts) {
  return {workers, 1, std::nullopt, 8 * workers, parts};
}

void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), text)) << status << "\nlacks: " << text;
}

std::vector<int32_t> Workers(const std::vector<Reply>& replies) {
  std::vector<int32_t> workers;
  for (const Reply& reply : replies) workers.push_back(reply.worker);
  return workers;
}

// Every order in which three workers' contributions to two parts can come, over two steps.
TEST(ShardCore, BspGivesTheBitsOfAdditionInRankOrderWhateverTheArrival) {
  const std::vector<int64_t> counts = {5, 9};
  constexpr int kSteps = 2;
  Random random(11);
  Floats start(14);
  for (float& value : start) value = random.Normal();
  std::vector<std::vector<Floats>> gradients(kSteps, std::vector<Floats>(3, Floats(14)));
  for (auto& step : gradients) {
    for (Floats& gradient : step) {
      for (float& value : gradient) value = random.Normal() * 1e3f;
    }
  }
  Floats expected = start;
  bool order_matters = false;
  for (const auto& step : gradients) {
    Floats sum = step[0], other = step[2];
    Add(step[1], absl::MakeSpan(sum));
    Add(step[2], absl::MakeSpan(sum));
    Add(step[1], absl::MakeSpan(other));
    Add(step[0], absl::MakeSpan(other));
    order_matters |= sum != other;
    SubtractScaled(0.1f, sum, absl::MakeSpan(expected));
  }
  ASSERT_TRUE(order_matters) << "these gradients would pass in any order";

  std::vector<int> order = {0, 1, 2, 3, 4, 5};  // worker * 2 + part
  int permutations = 0;
  do {
    ShardCore core = Core(Bsp(3, counts), Sgd(0.1f), start);
    for (int step = 0; step < kSteps; ++step) {
      for (const int what : order) {
        const int32_t worker = what / 2, part = what % 2;
        std::vector<Reply> ready;
        ExpectOk(core.OnPush(
            {worker, part, step, step,
             absl::MakeConstSpan(gradients[step][worker]).subspan(part * 5, counts[part])},
            &ready));
        EXPECT_TRUE(ready.empty());
      }
    }
    ASSERT_EQ(std::memcmp(core.weights().data(), expected.data(), 14 * sizeof(float)), 0)
        << permutations;
    EXPECT_EQ(core.clocks().slowest(), kSteps);
    EXPECT_EQ(core.staleness_histogram(), absl::MakeConstSpan(std::vector<int64_t>{12}));
    ++permutations;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(permutations, 720);
}

// Every order in which the contributions of a step can come: 1 and 2 workers, 3 parts of which one
// is empty.
TEST(ShardCore, ClippingUpdatesAllPartsOnTheLastSumByTheNormOverAllOfThem) {
  const std::vector<int64_t> counts = {2, 0, 3};
  const std::vector<int64_t> begins = {0, 2, 2};
  OptimizerSpec spec = Sgd(1.0f);
  spec.set_clip_norm(0.75f);
  for (const int32_t workers : {1, 2}) {
    Random random(5);
    std::vector<std::vector<Floats>> gradients(2, std::vector<Floats>(workers, Floats(5)));
    for (auto& step : gradients) {
      for (Floats& gradient : step) {
        for (float& value : gradient) value = random.Normal();
      }
    }
    std::vector<int> order(workers * 3);
    std::iota(order.begin(), order.end(), 0);
    do {
      ShardCore core = Core(Bsp(workers, counts), spec, Floats(5, 1.0f));
      Floats expected(5, 1.0f);
      for (int64_t step = 0; step < 2; ++step) {
        Floats sum = gradients[step][0];
        if (workers == 2) Add(gradients[step][1], absl::MakeSpan(sum));
        double squares = 0;
        for (size_t part = 0; part < 3; ++part) {
          squares += SumOfSquares(absl::MakeConstSpan(sum).subspan(begins[part], counts[part]));
        }
        const float clip = static_cast<float>(0.75 / (std::sqrt(squares) + 1e-6));
        ASSERT_LT(clip, 1.0f);
        for (size_t i = 0; i < order.size(); ++i) {
          EXPECT_EQ(core.weights(), absl::MakeConstSpan(expected))
              << "nothing moves before the last sum";
          EXPECT_EQ(core.versions(), absl::MakeConstSpan(std::vector<int64_t>(3, step)));
          const int32_t worker = order[i] / 3, part = order[i] % 3;
          std::vector<Reply> ready;
          const Push push{
              worker, part, step, step,
              absl::MakeConstSpan(gradients[step][worker]).subspan(begins[part], counts[part])};
          ExpectOk(core.OnPush(push, &ready));
          if (i + 1 < order.size()) {
            ExpectError(core.OnPush(push, &ready), absl::StatusCode::kInvalidArgument,
                        "already here");
          }
        }
        for (size_t i = 0; i < 5; ++i) expected[i] -= clip * sum[i];
        ASSERT_EQ(core.weights(), absl::MakeConstSpan(expected));
        EXPECT_EQ(core.clocks().slowest(), step + 1);
      }
      EXPECT_EQ(core.staleness_histogram(),
                absl::MakeConstSpan(std::vector<int64_t>{2 * 3 * workers}));
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(ShardCore, ClippingKeepsPullsParkedUntilThePartsAreUpdatedTogether) {
  OptimizerSpec spec = Sgd(1.0f);
  spec.set_clip_norm(1.0f);
  ShardCore core = Core(Bsp(1, {1, 1}), spec, {0.0f, 0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  ExpectOk(core.OnPush({0, 1, 0, 0, one}, &ready));
  ExpectOk(core.OnPull({0, 1, false}, &ready));
  EXPECT_TRUE(ready.empty());
  ExpectError(core.OnPush({0, 1, 1, 0, one}, &ready), absl::StatusCode::kInvalidArgument,
              "expected step 0");
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));
  EXPECT_EQ(Workers(ready), std::vector<int32_t>{0});
  EXPECT_EQ(core.weights()[0], core.weights()[1]);
  EXPECT_NEAR(core.weights()[0], -1 / std::sqrt(2.0), 1e-6);
}

// Adam's bias correction and the decay of each share of an update follow the part's own updates.
TEST(ShardCore, TellsTheRuleWhichUpdateAndWhatShareOfOneItIs) {
  OptimizerSpec adam = Sgd(0.5f);
  adam.set_name("adam");
  adam.set_beta1(0.9f);
  adam.set_beta2(0.99f);
  adam.set_epsilon(1e-6f);
  OptimizerSpec decay = Sgd(0.25f);
  decay.set_weight_decay(0.5f);
  for (const OptimizerSpec& spec : {adam, decay}) {
    for (const ShardPlan& plan : {Bsp(2, {1, 1}), Asynchronous(2, {1, 1})}) {
      const bool on_arrival = plan.contributions_per_update == 1;
      ShardCore core = Core(plan, spec, {1.0f, 1.0f});
      auto rule = CreateUpdateRule(spec, {2});
      ASSERT_TRUE(rule.ok());
      Floats expected = {1.0f, 1.0f};
      const Floats one = {1.0f}, two = {2.0f};
      std::vector<Reply> ready;
      for (int64_t step = 0; step < 3; ++step) {
        for (int32_t worker = 0; worker < 2; ++worker) {
          const int64_t update = on_arrival ? 2 * step + worker : step;
          ExpectOk(core.OnPush({worker, 1, step, update, one}, &ready));
          if (on_arrival)
            (*rule)->Apply({1, 0, update, 1, 0.5f}, one, absl::MakeSpan(expected).subspan(1, 1));
        }
        if (!on_arrival)
          (*rule)->Apply({1, 0, step, 1, 1}, two, absl::MakeSpan(expected).subspan(1, 1));
        EXPECT_EQ(core.weights(), absl::MakeConstSpan(expected)) << spec.name() << " step " << step;
      }
    }
  }
}

TEST(ShardCore, BspChangesNoWeightBeforeTheLastContribution) {
  ShardCore core = Core(Bsp(3, {1}), Sgd(1.0f), {0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  for (const int32_t worker : {2, 0}) {
    ExpectOk(core.OnPush({worker, 0, 0, 0, one}, &ready));
    EXPECT_EQ(core.weights()[0], 0.0f);
    EXPECT_EQ(core.versions()[0], 0);
  }
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
  EXPECT_EQ(core.weights()[0], -3.0f);
  EXPECT_EQ(core.versions()[0], 1);
}

TEST(ShardCore, BspDoesNotMixClocks) {
  ShardCore core = Core(Bsp(2, {1, 1}), Sgd(1.0f), {0.0f, 0.0f});
  const Floats one = {1.0f}, ten = {10.0f};
  std::vector<Reply> ready;
  // Part 0 of step 0 is done; part 1 still lacks worker 1 when worker 0's next part 0 comes.
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPush({0, 1, 0, 0, one}, &ready));
  ExpectOk(core.OnPush({0, 0, 1, 1, ten}, &ready));
  EXPECT_EQ(core.weights()[0], -2.0f);
  EXPECT_EQ(core.weights()[1], 0.0f);
  // But nobody can be a step ahead on a part whose update is not done.
  ExpectError(core.OnPush({0, 1, 1, 0, ten}, &ready), absl::StatusCode::kInvalidArgument,
              "expected step 0");
  ExpectOk(core.OnPush({1, 1, 0, 0, one}, &ready));
  EXPECT_EQ(core.weights()[1], -2.0f);
  EXPECT_EQ(core.clocks().slowest(), 1);
  ExpectOk(core.OnPush({1, 0, 1, 1, ten}, &ready));
  EXPECT_EQ(core.weights()[0], -22.0f);
}

TEST(ShardCore, BspParksPullsUntilTheUpdateOfEveryPartAndThenAnswersAll) {
  ShardCore core = Core(Bsp(2, {1, 1}), Sgd(1.0f), {0.0f, 0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  ExpectOk(core.OnPull({0, 0, false}, &ready));
  EXPECT_EQ(Workers(ready), std::vector<int32_t>{0}) << "the initial weights are there";
  ready.clear();
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPush({1, 1, 0, 0, one}, &ready));
  ExpectOk(core.OnPull({1, 1, false}, &ready));
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPull({0, 1, false}, &ready));
  EXPECT_TRUE(ready.empty());
  EXPECT_EQ(core.DescribeParked(),
            "worker/0 at clock 1 awaits clock 1 of worker/0 (at 0) worker/1 (at 0); worker/1 at "
            "clock 1 awaits clock 1 of worker/0 (at 0) worker/1 (at 0)");
  ExpectOk(core.OnPush({0, 1, 0, 0, one}, &ready));
  EXPECT_EQ(Workers(ready), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(ready[0].clock, 1);
  EXPECT_EQ(core.DescribeParked(), "");
}

TEST(ShardCore, NamesThePartsThatAPushHasUpdated) {
  using Parts = std::vector<int32_t>;
  ShardCore core = Core(Bsp(2, {1, 1}), Sgd(1.0f), {0.0f, 0.0f});
  OptimizerSpec clipping = Sgd(1.0f);
  clipping.set_clip_norm(1.0f);
  ShardCore clipped = Core(Bsp(2, {1, 1}), clipping, {0.0f, 0.0f});
  ShardCore arrival = Core(Asynchronous(2, {1, 1}), Sgd(1.0f), {0.0f, 0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  const Push pushes[] = {
      {1, 1, 0, 0, one}, {0, 1, 0, 0, one}, {0, 0, 0, 0, one}, {1, 0, 0, 0, one}};
  const Parts expected[] = {{}, {1}, {}, {0}};
  for (int i = 0; i < 4; ++i) {
    for (ShardCore* each : {&core, &clipped, &arrival}) ExpectOk(each->OnPush(pushes[i], &ready));
    EXPECT_EQ(core.updated(), absl::MakeConstSpan(expected[i])) << i;
    // No part is updated before the sums of all are there.
    EXPECT_EQ(clipped.updated(), absl::MakeConstSpan(i == 3 ? Parts{0, 1} : Parts{})) << i;
    EXPECT_EQ(arrival.updated(), absl::MakeConstSpan(Parts{pushes[i].part})) << i;
  }
  EXPECT_EQ(core.part_weights(1)[0], -2.0f);
}

TEST(ShardCore, SspGateStaysShutUntilTheSlowestIsWithinBound) {
  ShardCore core = Core(Ssp(2, 1, {1}), Sgd(1.0f), {0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPull({0, 1, false}, &ready));
  EXPECT_EQ(Workers(ready), std::vector<int32_t>{0}) << "one clock ahead is within the bound";
  ready.clear();
  ExpectOk(core.OnPush({0, 0, 1, 1, one}, &ready));
  ExpectOk(core.OnPull({0, 2, false}, &ready));
  EXPECT_TRUE(ready.empty());
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
  EXPECT_EQ(Workers(ready), std::vector<int32_t>{0});
}

TEST(ShardCore, AsynchronousNeverParksButADrain) {
  ShardCore core = Core(Asynchronous(2, {1}), Sgd(1.0f), {0.0f});
  const Floats one = {1.0f};
  for (int64_t step = 0; step < 50; ++step) {
    std::vector<Reply> ready;
    ExpectOk(core.OnPush({0, 0, step, step, one}, &ready));
    ExpectOk(core.OnPull({0, step + 1, false}, &ready));
    ASSERT_EQ(ready.size(), 1u) << "worker 1 has not moved, and worker 0 does not care";
  }
  std::vector<Reply> ready;
  ExpectOk(core.OnPull({0, 50, true}, &ready));
  EXPECT_TRUE(ready.empty());
  for (int64_t step = 0; step < 50; ++step) {
    EXPECT_TRUE(ready.empty()) << step;
    ExpectOk(core.OnPush({1, 0, step, 0, one}, &ready));
  }
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].drain);
  EXPECT_EQ(core.weights()[0], -100.0f);
}

TEST(ShardCore, WithoutEqualStepsADrainWaitsForTheDrainOfEveryWorker) {
  ShardPlan plan = Asynchronous(3, {1});
  plan.equal_steps = false;
  ShardCore core = Core(plan, Sgd(1.0f), {0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  ExpectOk(core.OnPull({0, 0, true}, &ready));  // it has made no step
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPull({1, 1, true}, &ready));
  // All clocks reach the drains', and worker 2 goes on.
  for (int64_t step = 0; step < 5; ++step) ExpectOk(core.OnPush({2, 0, step, 0, one}, &ready));
  EXPECT_TRUE(ready.empty());
  EXPECT_EQ(core.DescribeParked(),
            "worker/0 at clock 0 awaits the drains of worker/2 (at 5); worker/1 at clock 1 awaits "
            "the drains of worker/2 (at 5)");
  ExpectOk(core.OnPull({2, 5, true}, &ready));
  EXPECT_EQ(Workers(ready), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(core.DescribeParked(), "");
  // The next one is counted anew.
  ready.clear();
  ExpectOk(core.OnPull({2, 5, true}, &ready));
  EXPECT_TRUE(ready.empty());
}

TEST(ShardCore, CountsStalenessAsUpdatesOfTheSamePartBetweenReadAndApply) {
  ShardCore core = Core(Asynchronous(2, {1, 1}), Sgd(1.0f), {0.0f, 0.0f});
  const Floats one = {1.0f};
  std::vector<Reply> ready;
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));  // 0
  ExpectOk(core.OnPush({0, 0, 1, 1, one}, &ready));  // 0
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));  // 2: both of worker 0
  ExpectOk(core.OnPush({1, 1, 0, 0, one}, &ready));  // 0: another part
  EXPECT_EQ(core.staleness_histogram(), absl::MakeConstSpan(std::vector<int64_t>{3, 0, 1}));
}

TEST(ShardCore, TheRateFollowsSamplesSeenAlikeUnderBspAndOnArrival) {
  OptimizerSpec spec = Sgd(1.0f);
  // two clocks of two workers with 8 samples each
  spec.mutable_step_schedule()->set_every_samples(32);
  spec.mutable_step_schedule()->set_factor(0.5f);
  const Floats one = {1.0f};
  ShardCore bsp = Core(Bsp(2, {1}), spec, {0.0f});
  ShardCore arrival = Core(Asynchronous(2, {1}), spec, {0.0f});
  const float expected[] = {-2.0f, -4.0f, -5.0f, -6.0f, -6.5f};
  std::vector<Reply> ready;
  for (int64_t step = 0; step < 5; ++step) {
    for (int32_t worker = 0; worker < 2; ++worker) {
      ExpectOk(bsp.OnPush({worker, 0, step, step, one}, &ready));
      ExpectOk(arrival.OnPush({worker, 0, step, 2 * step, one}, &ready));
    }
    EXPECT_EQ(bsp.weights()[0], expected[step]) << step;
    EXPECT_EQ(arrival.weights()[0], expected[step]) << step;
  }
}

TEST(ShardCore, SspWithBoundZeroIsBspForPlainSgdWhereSumsAreExact) {
  ShardCore bsp = Core(Bsp(2, {2}), Sgd(0.5f), {1.0f, -1.0f});
  ShardCore ssp = Core(Ssp(2, 0, {2}), Sgd(0.5f), {1.0f, -1.0f});
  const Floats first = {2.0f, 0.25f}, second = {-4.0f, 0.5f};
  std::vector<Reply> ready;
  for (int64_t step = 0; step < 4; ++step) {
    for (ShardCore* core : {&bsp, &ssp}) {
      ready.clear();
      const int64_t read = core == &bsp ? step : 2 * step;
      ExpectOk(core->OnPush({1, 0, step, read, second}, &ready));
      ExpectOk(core->OnPull({1, step + 1, false}, &ready));
      EXPECT_TRUE(ready.empty());
      ExpectOk(core->OnPush({0, 0, step, read, first}, &ready));
      EXPECT_EQ(Workers(ready), std::vector<int32_t>{1});
    }
    EXPECT_EQ(bsp.weights(), ssp.weights());
  }
}

TEST(ShardCore, ARefusedCallNamesWhatIsWrongAndChangesNothing) {
  const Floats one = {1.0f}, two = {1.0f, 1.0f};
  for (const ShardPlan& plan : {Bsp(2, {1, 1}), Ssp(2, 0, {1, 1})}) {
    ShardCore core = Core(plan, Sgd(1.0f), {0.0f, 0.0f});
    const auto kInvalid = absl::StatusCode::kInvalidArgument;
    std::vector<Reply> ready;
    ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));
    const float before = core.weights()[0];
    ExpectError(core.OnPush({2, 0, 0, 0, one}, &ready), kInvalid,
                "push from worker/2 step=0 part=0: no such worker");
    ExpectError(core.OnPush({-1, 0, 0, 0, one}, &ready), kInvalid, "no such worker");
    ExpectError(core.OnPush({1, 2, 0, 0, one}, &ready), kInvalid, "no such part, the shard has 2");
    ExpectError(core.OnPush({1, -1, 0, 0, one}, &ready), kInvalid, "no such part");
    ExpectError(core.OnPush({1, 0, 0, 0, two}, &ready), kInvalid, "2 floats, the part has 1");
    ExpectError(core.OnPush({1, 0, 0, 5, one}, &ready), kInvalid,
                "computed from version 5, the part is at ");
    ExpectError(core.OnPush({1, 0, 0, -1, one}, &ready), kInvalid, "computed from version -1");
    ExpectError(core.OnPush({1, 0, 1, 0, one}, &ready), kInvalid, "expected");
    ExpectError(core.OnPush({0, 0, 0, 0, one}, &ready), kInvalid,
                plan.contributions_per_update == 1 ? "expected its next step, 1" : "already here");
    EXPECT_EQ(core.weights()[0], before);
    EXPECT_EQ(core.clocks().slowest(), 0);

    ExpectError(core.OnPull({2, 0, false}, &ready), kInvalid,
                "pull from worker/2 clock=0: no such worker");
    ExpectError(core.OnPull({0, -1, false}, &ready), kInvalid, "clocks do not run backwards");
    ExpectOk(core.OnPull({0, 1, false}, &ready));
    ExpectError(core.OnPull({0, 1, false}, &ready), absl::StatusCode::kFailedPrecondition,
                "one at a time");
    EXPECT_TRUE(ready.empty());

    // The core goes on as if nothing had been.
    ExpectOk(core.OnPush({0, 1, 0, 0, one}, &ready));
    ExpectOk(core.OnPush({1, 1, 0, 0, one}, &ready));
    ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
    EXPECT_EQ(Workers(ready), std::vector<int32_t>{0});
    EXPECT_EQ(core.weights()[0], -2.0f);
    EXPECT_EQ(core.weights()[1], -2.0f);
    ExpectError(core.OnPull({0, 0, false}, &ready), kInvalid, "its last pull was at 1");
  }
}

TEST(ShardCore, APartWithoutElementsTicksLikeAnyOther) {
  for (const ShardPlan& plan : {Bsp(2, {1, 0}), Ssp(2, 0, {1, 0})}) {
    ShardCore core = Core(plan, Sgd(1.0f), {0.0f});
    const Floats one = {1.0f};
    std::vector<Reply> ready;
    ExpectOk(core.OnPull({0, 1, false}, &ready));
    for (int32_t worker = 0; worker < 2; ++worker) {
      ExpectOk(core.OnPush({worker, 1, 0, 0, {}}, &ready));
      ExpectOk(core.OnPush({worker, 0, 0, 0, one}, &ready));
    }
    EXPECT_EQ(Workers(ready), std::vector<int32_t>{0});
    EXPECT_EQ(core.versions()[1], plan.contributions_per_update == 1 ? 2 : 1);
  }
}

}  // namespace
}  // namespace ringmaster
