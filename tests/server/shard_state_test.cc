// What a shard gives, another takes and goes on with.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/state/state.h"
#include "common/update/delay_compensation.h"
#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

constexpr int32_t kWorkers = 3;
const std::vector<int64_t> kParts = {5, 0, 9};
constexpr int64_t kCount = 14;

ShardPlan Together() { return {kWorkers, kWorkers, 0, 8 * kWorkers, kParts}; }
ShardPlan OnArrival(std::optional<int64_t> bound) {
  return {kWorkers, 1, bound, 8 * kWorkers, kParts};
}

std::unique_ptr<ShardCore> Create(const ShardPlan& plan,
                                  const std::string& optimizer = "momentum") {
  OptimizerSpec spec;
  spec.set_name(optimizer);
  spec.set_learning_rate(0.05f);
  spec.set_momentum(0.9f);
  auto update = CreateUpdateRule(spec, {kCount});
  EXPECT_TRUE(update.ok()) << update.status();
  if (plan.sent_kept > 0)
    *update = Compensate(*std::move(update), {1, true, 0.5, kWorkers}, kCount, {});
  return std::make_unique<ShardCore>(plan, *std::move(update), Floats(kCount, 1.0f));
}

// All read what they were sent at the end of the step before.
int64_t ReadVersion(int64_t step, const ShardPlan& plan) {
  return step * kWorkers / plan.contributions_per_update;
}

// Every worker's gradients of one step, in an order that the step decides, and their pulls.
void Step(int64_t step, ShardCore* core) {
  std::vector<Floats> gradients;  // until the updates are made
  std::vector<Reply> ready;
  for (int32_t i = 0; i < kWorkers; ++i) {
    const auto worker = static_cast<int32_t>((step + i) % kWorkers);
    for (int32_t part = 0; part < static_cast<int32_t>(kParts.size()); ++part) {
      Random random(100 * step + 10 * worker + part);
      Floats& gradient = gradients.emplace_back(kParts[part]);
      for (float& value : gradient) value = random.Normal();
      const absl::Status pushed =
          core->OnPush({worker, part, step, ReadVersion(step, core->plan()), gradient}, &ready);
      ASSERT_TRUE(pushed.ok()) << pushed;
    }
  }
  for (int32_t worker = 0; worker < kWorkers; ++worker) {
    ASSERT_TRUE(core->OnPull({worker, step + 1, false}, &ready).ok());
    core->OnSent(worker);
  }
  EXPECT_EQ(ready.size(), static_cast<size_t>(kWorkers));
}

TEST(ShardState, GivenAndTakenTheShardGoesOnAsIfItHadNeverStopped) {
  ShardPlan compensated = OnArrival(std::nullopt);
  compensated.sent_kept = 2;
  for (const ShardPlan& plan : {Together(), OnArrival(2), OnArrival(std::nullopt), compensated}) {
    const auto whole = Create(plan), before = Create(plan), after = Create(plan);
    for (int64_t step = 0; step < 4; ++step) {
      Step(step, whole.get());
      Step(step, before.get());
    }
    const absl::StatusOr<State> state = before->Give();
    ASSERT_TRUE(state.ok()) << state.status();
    ASSERT_TRUE(after->Take(*state).ok());
    for (int64_t step = 4; step < 8; ++step) {
      Step(step, whole.get());
      Step(step, after.get());
    }
    EXPECT_EQ(Floats(after->weights().begin(), after->weights().end()),
              Floats(whole->weights().begin(), whole->weights().end()));
    EXPECT_EQ(after->versions(), whole->versions());
    EXPECT_EQ(after->clocks().slowest(), 8);
    std::vector<Reply> ready;
    EXPECT_EQ(after->OnPull({0, 7, false}, &ready).code(), absl::StatusCode::kInvalidArgument)
        << "a clock that is over";
  }
}

TEST(ShardState, OfAllWorkersIsTakenByAShardOfThoseWhoAreLeftWithTheCopiesOfItsMarks) {
  ShardPlan plan = Together();
  plan.marks = {2, 4, 6};
  plan.keeps_copies = true;
  const auto before = Create(plan);
  before->UseCopies(ShardCore::CopiesOf(plan));
  for (int64_t step = 0; step < 3; ++step) Step(step, before.get());
  const absl::StatusOr<State> state = before->Give();
  ASSERT_TRUE(state.ok());
  // A step is made that the run goes back behind: its mark is passed again.
  Step(3, before.get());
  before->FreeCopiesBefore(1);
  ASSERT_TRUE(before->HasCopy(0)) << "a copy that may be asked for again is given up";
  ASSERT_TRUE(before->HasCopy(1));
  const Floats first(before->part_at_mark(0, 2).begin(), before->part_at_mark(0, 2).end());

  plan.workers = plan.contributions_per_update = 2;
  plan.global_batch = 8 * kWorkers;
  const auto after = Create(plan);
  EXPECT_FALSE(after->Take(*state).ok()) << "of three workers";
  const absl::StatusOr<State> left = ShardStateOf(std::vector<int32_t>{0, 2}, kWorkers, *state);
  ASSERT_TRUE(left.ok()) << left.status();
  ASSERT_TRUE(after->Take(*left).ok());
  after->TakeCopies(before->ReleaseCopies());
  EXPECT_TRUE(after->HasCopy(0));
  EXPECT_FALSE(after->HasCopy(1)) << "it is not passed yet";
  EXPECT_EQ(Floats(after->part_at_mark(0, 2).begin(), after->part_at_mark(0, 2).end()), first);
  EXPECT_EQ(after->versions()[0], 3);
  EXPECT_EQ(after->clocks().slowest(), 3);
  std::vector<Floats> gradients;
  std::vector<Reply> ready;
  for (int32_t worker = 0; worker < 2; ++worker) {
    for (int32_t part = 0; part < static_cast<int32_t>(kParts.size()); ++part) {
      Floats& gradient = gradients.emplace_back(kParts[part], 0.5f);
      ASSERT_TRUE(after->OnPush({worker, part, 3, 3, gradient}, &ready).ok());
    }
  }
  EXPECT_EQ(after->versions()[2], 4);
  EXPECT_TRUE(after->HasCopy(1));
  EXPECT_FALSE(ShardStateOf(std::vector<int32_t>{0}, 4, *state).ok()) << "of no four workers";
}

TEST(ShardState, IsRefusedWhileAnUpdateOrAPullWaits) {
  const auto core = Create(Together());
  const Floats gradient(5, 1.0f);
  std::vector<Reply> ready;
  ASSERT_TRUE(core->OnPush({1, 0, 0, 0, gradient}, &ready).ok());
  EXPECT_THAT(std::string(core->Give().status().message()),
              HasSubstr("an update lacks contributions"));
  const auto waits = Create(OnArrival(0));
  ASSERT_TRUE(waits->OnPull({1, 1, false}, &ready).ok());
  EXPECT_THAT(std::string(waits->Give().status().message()), HasSubstr("worker/1 at clock 1"));
}

TEST(ShardState, OfAnotherPlanOrOptimizerIsRefusedAndNothingChanges) {
  const auto given = Create(Together());
  Step(0, given.get());
  const State state = *given->Give();
  const auto plain = Create(Together(), "sgd");
  EXPECT_THAT(std::string(plain->Take(state).message()), HasSubstr("velocity"));
  ShardPlan fewer = Together();
  fewer.part_counts = {14};
  const auto other = Create(fewer);
  EXPECT_THAT(std::string(other->Take(state).message()),
              HasSubstr("\"versions\": it is 3 integers, expected 1 integers"));
  for (const auto* core : {plain.get(), other.get()}) {
    EXPECT_EQ(core->weights()[0], 1.0f);
    EXPECT_EQ(core->versions()[0], 0);
  }
}

}  // namespace
}  // namespace ringmaster
