// A shard that goes on without a worker that is lost.
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/shard_core.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;

// Two parts of an element each, of weights 0; an update adds what is pushed.
ShardCore Core(ShardPlan plan) {
  plan.global_batch = plan.workers;
  plan.part_counts = {1, 1};
  return ShardCore(std::move(plan), CreateAddRule(2), std::vector<float>(2));
}

ShardPlan PlanOf(int32_t workers, std::optional<int64_t> bound) {
  ShardPlan plan;
  plan.workers = workers;
  plan.contributions_per_update = 1;
  plan.staleness_bound = bound;
  plan.equal_steps = bound.has_value();
  return plan;
}

const std::vector<float> kOne = {1.0f};

std::vector<int32_t> PushStep(int32_t worker, int64_t step, ShardCore* core, int64_t lot = 0) {
  std::vector<Reply> ready;
  for (int32_t part = 0; part < 2; ++part) {
    Push push{worker, part, step, 0, kOne};
    push.lot = lot;
    EXPECT_TRUE(core->OnPush(push, &ready).ok());
  }
  std::vector<int32_t> workers;
  for (const Reply& reply : ready) workers.push_back(reply.worker);
  return workers;
}

std::vector<int32_t> Ask(const Pull& pull, ShardCore* core) {
  std::vector<Reply> ready;
  EXPECT_TRUE(core->OnPull(pull, &ready).ok());
  std::vector<int32_t> workers;
  for (const Reply& reply : ready) workers.push_back(reply.worker);
  return workers;
}

std::vector<int32_t> Lose(int32_t worker, ShardCore* core) {
  std::vector<Reply> ready;
  core->Lose(worker, &ready);
  std::vector<int32_t> workers;
  for (const Reply& reply : ready) workers.push_back(reply.worker);
  return workers;
}

TEST(ShardThatLosesAWorker, TheLostClockLeavesTheGateAndLetsGoOfThoseThatItHeldUp) {
  ShardCore core = Core(PlanOf(3, 1));
  PushStep(0, 0, &core);
  PushStep(0, 1, &core);
  PushStep(1, 0, &core);
  EXPECT_THAT(Ask({0, 2, false}, &core), ElementsAre());  // worker/2 is at 0
  EXPECT_THAT(Lose(2, &core), ElementsAre(0));
  EXPECT_EQ(core.clocks().slowest(), 1);
  // The others' clocks are the gate's as before.
  PushStep(0, 2, &core);
  EXPECT_THAT(Ask({0, 3, false}, &core), ElementsAre());
  EXPECT_THAT(PushStep(1, 1, &core), ElementsAre(0));
}

TEST(ShardThatLosesAWorker, ADrainWaitsForThoseThatAreLeftAlone) {
  ShardCore bounded = Core(PlanOf(3, 2));
  PushStep(0, 0, &bounded);
  PushStep(1, 0, &bounded);
  EXPECT_THAT(Ask({0, 1, true}, &bounded), ElementsAre());
  EXPECT_THAT(Lose(2, &bounded), ElementsAre(0));

  ShardCore free = Core(PlanOf(4, std::nullopt));
  EXPECT_THAT(Ask({2, 0, true}, &free), ElementsAre());
  EXPECT_THAT(Ask({0, 0, true}, &free), ElementsAre());
  EXPECT_THAT(Lose(2, &free), ElementsAre()) << "it had drained";
  EXPECT_THAT(Lose(1, &free), ElementsAre());
  EXPECT_THAT(Ask({3, 0, true}, &free), ElementsAre(0, 3));
}

TEST(ShardThatLosesAWorker, WhatItHasPushedStaysAndALotThatIsDealtAgainCompletesIt) {
  ShardPlan plan = PlanOf(2, std::nullopt);
  plan.lots = 5;
  ShardCore core = Core(plan);
  std::vector<Reply> ready;
  Push push{0, 1, 0, 0, kOne};
  push.lot = 3;
  ASSERT_TRUE(core.OnPush(push, &ready).ok());  // a part of the lot
  Lose(0, &core);
  const std::vector<float> two = {2.0f};
  for (int32_t part = 0; part < 2; ++part) {
    Push again{1, part, 0, 0, two};
    again.lot = 3;
    ASSERT_TRUE(core.OnPush(again, &ready).ok());
    EXPECT_EQ(core.was_dropped(), part == 1);
  }
  EXPECT_THAT(core.weights(), ElementsAre(2, 1));
  EXPECT_THAT(core.versions(), ElementsAre(1, 1));
  EXPECT_EQ(core.repeated(), 1);
  EXPECT_EQ(core.clocks().clock(1), 1);  // its step is over all the same
  PushStep(1, 1, &core, 4);
  EXPECT_THAT(core.versions(), ElementsAre(2, 2));
  Push unknown{1, 0, 2, 0, kOne};
  unknown.lot = 5;
  EXPECT_EQ(core.OnPush(unknown, &ready).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ShardThatLosesAWorker, AMarkThatItsPushesAreMissingForIsUnreached) {
  ShardPlan plan = PlanOf(2, 5);
  plan.marks = {2, 3, 4};
  ShardCore core = Core(plan);
  core.UseCopies(ShardCore::CopiesOf(core.plan()));
  PushStep(0, 0, &core);
  PushStep(0, 1, &core);
  EXPECT_TRUE(core.HasCopy(0));
  EXPECT_FALSE(core.IsUnreached(1)) << "nobody is lost";
  Lose(1, &core);
  EXPECT_FALSE(core.IsUnreached(0));
  EXPECT_TRUE(core.IsUnreached(1));
  EXPECT_FALSE(core.IsUnreached(2)) << "of the last there is no copy";
}

}  // namespace
}  // namespace ringmaster
