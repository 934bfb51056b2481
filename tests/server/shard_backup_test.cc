#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

// Of `backups` of the workers nobody waits for the last; -1: of none, by the plan of BSP.
ShardPlan Plan(int32_t workers, int32_t backups, std::vector<int64_t> parts) {
  ShardPlan plan{workers, workers - std::max(0, backups), 0, 8 * workers, std::move(parts)};
  plan.drops_late = backups >= 0;
  return plan;
}

ShardCore Core(const ShardPlan& plan, Floats weights, double clip_norm = 0) {
  OptimizerSpec spec;
  spec.set_name("momentum");
  spec.set_learning_rate(0.1f);
  spec.set_momentum(0.9f);
  if (clip_norm > 0) spec.set_clip_norm(static_cast<float>(clip_norm));
  const auto count = static_cast<int64_t>(weights.size());
  return ShardCore(plan, *CreateUpdateRule(spec, {count}), std::move(weights));
}

Floats Draw(size_t count, Random* random) {
  Floats values(count);
  for (float& value : values) value = random->Normal();
  return values;
}

void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

std::vector<int32_t> Shuffled(int32_t workers, Random* random) {
  std::vector<int32_t> order(workers);
  std::iota(order.begin(), order.end(), 0);
  for (int32_t i = workers - 1; i > 0; --i)
    std::swap(order[i], order[random->Below(static_cast<uint64_t>(i) + 1)]);
  return order;
}

TEST(ShardBackup, WithoutBackupsHasTheBitsOfBspInEveryOrderOfArrival) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const int32_t workers = 1 + static_cast<int32_t>(random.Below(5));
    const Floats initial = Draw(7, &random);
    ShardCore bsp = Core(Plan(workers, -1, {5, 2}), initial);
    ShardCore first = Core(Plan(workers, 0, {5, 2}), initial);
    std::vector<Reply> ready;
    for (int64_t step = 0; step < 4; ++step) {
      std::vector<Floats> gradients;
      for (int32_t worker = 0; worker < workers; ++worker) gradients.push_back(Draw(7, &random));
      for (ShardCore* core : {&bsp, &first}) {
        for (const int32_t part : {1, 0}) {
          for (const int32_t worker : Shuffled(workers, &random)) {
            const auto all = absl::MakeConstSpan(gradients[worker]);
            ExpectOk(core->OnPush(
                {worker, part, step, step, part == 0 ? all.first(5) : all.subspan(5)}, &ready));
          }
        }
      }
      ASSERT_EQ(bsp.weights(), first.weights()) << "seed " << seed << " step " << step;
    }
    EXPECT_EQ(first.dropped(), 0);
  }
}

TEST(ShardBackup, UpdatesByTheAverageOfTheFirstAddedInRankOrder) {
  Random random(1);
  const Floats initial = Draw(3, &random);
  std::vector<Floats> gradients;  // one worker's mean, over N
  for (int32_t worker = 0; worker < 5; ++worker) gradients.push_back(Draw(3, &random));
  ShardCore core = Core(Plan(5, 2, {3}), initial);
  std::vector<Reply> ready;
  for (const int32_t worker : {4, 0, 2}) {
    EXPECT_TRUE(core.updated().empty());
    ExpectOk(core.OnPush({worker, 0, 0, 0, gradients[worker]}, &ready));
  }
  ASSERT_EQ(core.updated().size(), 1u);
  for (size_t i = 0; i < 3; ++i) {
    const float sum = (gradients[0][i] + gradients[2][i]) + gradients[4][i];
    const float velocity = sum * (5.0f / 3.0f);
    EXPECT_EQ(core.weights()[i], initial[i] - 0.1f * velocity);
  }
}

TEST(ShardBackup, DropsAndCountsWhatIsLateAndChangesNothingByIt) {
  ShardCore core = Core(Plan(3, 1, {1, 1}), {0, 0});
  const Floats one = {1};
  std::vector<Reply> ready;
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));
  ExpectOk(core.OnPush({2, 0, 0, 0, one}, &ready));
  ASSERT_EQ(core.versions()[0], 1);
  const float updated = core.weights()[0];
  ExpectOk(core.OnPush({1, 0, 0, 0, one}, &ready));
  EXPECT_TRUE(core.was_dropped());
  EXPECT_TRUE(core.updated().empty());
  EXPECT_EQ(core.weights()[0], updated);
  // The other part has not been updated: there its gradient is in time.
  ExpectOk(core.OnPush({1, 1, 0, 0, one}, &ready));
  EXPECT_FALSE(core.was_dropped());
  // Of the next step of this one it knows itself that it comes too late.
  Push late{1, 0, 1, 1, one};
  late.late = true;
  ExpectOk(core.OnPush(late, &ready));
  EXPECT_TRUE(core.was_dropped());
  ExpectOk(core.OnPush({1, 0, 2, 1, one}, &ready));
  EXPECT_FALSE(core.was_dropped());
  EXPECT_THAT(std::string(core.OnPush({1, 0, 3, 1, one}, &ready).message()),
              HasSubstr("already here"));
  EXPECT_EQ(core.dropped(), 2);
  EXPECT_EQ(core.staleness_histogram()[0], 2);  // of those that are in an update
}

TEST(ShardBackup, ClipsTheAverageAndDropsWhatComesWhileOtherPartsAreAwaited) {
  const Floats initial = {0, 0};
  ShardCore core = Core(Plan(3, 1, {1, 1}), initial, /*clip_norm=*/1);
  const Floats three = {3}, four = {4}, far = {100};
  std::vector<Reply> ready;
  for (const int32_t worker : {0, 1}) ExpectOk(core.OnPush({worker, 0, 0, 0, three}, &ready));
  EXPECT_EQ(core.versions()[0], 0);
  ExpectOk(core.OnPush({2, 0, 0, 0, far}, &ready));
  EXPECT_TRUE(core.was_dropped());
  for (const int32_t worker : {0, 1}) ExpectOk(core.OnPush({worker, 1, 0, 0, four}, &ready));
  EXPECT_EQ(core.updated().size(), 2u);
  // The average, (9, 12), is clipped to (0.6, 0.8).
  EXPECT_NEAR(core.weights()[0], -0.06, 1e-6);
  EXPECT_NEAR(core.weights()[1], -0.08, 1e-6);
}

// Samples a second of 64 workers that wait for all but `backups`, in units of one worker's mean
// step: every step of every worker is drawn.
double RateOf(int32_t backups, double deviation) {
  constexpr int32_t kWorkers = 64;
  constexpr int64_t kSteps = 3000;
  ShardCore core = Core(Plan(kWorkers, backups, {1}), {0});
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> step_time(0, deviation);
  const Floats gradient = {0};
  std::vector<Reply> ready;
  double seconds = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    std::vector<std::pair<double, int32_t>> arrivals;
    for (int32_t worker = 0; worker < kWorkers; ++worker)
      arrivals.emplace_back(step_time(random), worker);
    std::sort(arrivals.begin(), arrivals.end());
    for (const auto& [time, worker] : arrivals) {
      ExpectOk(core.OnPush({worker, 0, step, step, gradient}, &ready));
      if (!core.updated().empty()) seconds += time;
    }
  }
  EXPECT_EQ(core.dropped(), backups * kSteps);
  return (kWorkers - backups) * kSteps / seconds;
}

// docs/THEORY.md, "Backup workers".
TEST(ShardBackup, GainsWhatTheoryPromisesWhereStepTimesAreDrawn) {
  const double all = RateOf(0, 0.3);
  const std::vector<double> gains = {1.108, 1.166, 1.203, 1.229};
  for (int32_t backups = 1; backups <= 4; ++backups)
    EXPECT_NEAR(RateOf(backups, 0.3) / all, gains[backups - 1], 0.01) << backups;
  EXPECT_LT(RateOf(8, 0.1) / RateOf(0, 0.1), 1);
}

}  // namespace
}  // namespace ringmaster
