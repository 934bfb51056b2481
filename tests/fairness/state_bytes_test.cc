// What workers say that they keep beside their weights is what they keep, in every arm.
#include <numeric>
#include <string>
#include <vector>

#include "common/scheme/registry.h"
#include "experiments/program/run/run_needs.h"
#include "gtest/gtest.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

constexpr int32_t kWorkers = 3;

// By rank.
std::vector<int64_t> StateBytesOf(const std::string& arm, const std::string& optimizer) {
  RunSpec base = SmallSpec(kWorkers, false);
  base.mutable_training()->set_steps(2);
  base.mutable_optimizer()->set_name(optimizer);
  base.clear_codec();  // the arm's own
  const RunRecord record = RunInProcess(ArmOf(arm, base));
  EXPECT_EQ(record.status(), "ok");
  std::vector<int64_t> bytes;
  for (const WorkerReport& worker : record.reports(0).workers()) {
    EXPECT_TRUE(worker.has_state_bytes());
    bytes.push_back(worker.state_bytes());
  }
  return bytes;
}

class EveryArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(StateBytes, EveryArm, testing::ValuesIn(ArmsThat(RunsEverywhere)),
                         [](const auto& info) { return TestName(info.param); });

// Momentum keeps a float for each weight that the worker itself updates, and nothing for others.
TEST_P(EveryArm, GrowsWithMomentumByAFloatForEveryWeightThatTheWorkerUpdates) {
  const RunSpec spec = ArmOf(GetParam(), SmallSpec(kWorkers, false));
  const SchemeTraits traits = TraitsOf(spec);
  const auto layout = LayoutOf(spec);
  ASSERT_TRUE(layout.ok()) << layout.status();
  const std::vector<int64_t> plain = StateBytesOf(GetParam(), "sgd");
  const std::vector<int64_t> momentum = StateBytesOf(GetParam(), "momentum");
  ASSERT_EQ(plain.size(), static_cast<size_t>(traits.workers));
  for (int32_t rank = 0; rank < traits.workers; ++rank) {
    int64_t updated = layout->count();
    if (traits.updated != nullptr) {
      updated = 0;
      for (const Range& range : traits.updated(*layout, traits.workers, rank))
        updated += range.count;
    }
    EXPECT_EQ(momentum[rank] - plain[rank], 4 * updated) << "worker/" << rank;
  }
}

TEST(StateBytes, OfAShardedOptimizerAreTogetherThoseOfOneWorkerOfTheRing) {
  const std::vector<int64_t> ring = StateBytesOf("ring", "adam");
  const std::vector<int64_t> sharded = StateBytesOf("sharded-optimizer", "adam");
  EXPECT_EQ(std::accumulate(sharded.begin(), sharded.end(), int64_t{0}), ring[0]);
  for (const int64_t bytes : sharded) EXPECT_NEAR(bytes, ring[0] / kWorkers, 0.01 * ring[0]);
}

TEST(StateBytes, HoldWhatErrorFeedbackRemembers) {
  const std::vector<int64_t> ring = StateBytesOf("ring", "adam");
  EXPECT_EQ(StateBytesOf("ring-topk", "adam")[0], ring[0] + ring[0] / 2);
}

}  // namespace
}  // namespace ringmaster
