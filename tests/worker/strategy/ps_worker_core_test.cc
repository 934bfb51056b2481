#include "worker/strategy/ps/worker_core.h"

#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Kind = WorkerAction::Kind;

std::vector<Kind> KindsOf(const std::vector<WorkerAction>& actions) {
  std::vector<Kind> kinds;
  for (const WorkerAction& action : actions) kinds.push_back(action.kind);
  return kinds;
}

TEST(WorkerCore, PushesToTheServerAfterItsOwnRankFirstAndExpectsEachAnswerBeforeItsPush) {
  WorkerCore core(
      {/*rank=*/1, /*servers=*/3, /*buckets=*/2, /*answered=*/true, /*steps_in_flight_max=*/1});
  std::vector<WorkerAction> actions;
  core.StepBegins(0, &actions);
  EXPECT_EQ(KindsOf(actions), std::vector<Kind>({Kind::kLetStepBegin}));
  actions.clear();
  core.GradientReady(0, 1, &actions);
  EXPECT_EQ(KindsOf(actions), std::vector<Kind>({Kind::kExpect, Kind::kSend, Kind::kExpect,
                                                 Kind::kSend, Kind::kExpect, Kind::kSend}));
  EXPECT_EQ(actions[1].server, 2);
  EXPECT_EQ(actions[3].server, 0);
  EXPECT_EQ(actions[5].server, 1);
  EXPECT_EQ(actions[4].tag, (Tag{MessageKind::kWeights, 0, 1, 0}));
  EXPECT_EQ(actions[5].tag, (Tag{MessageKind::kPush, 0, 1, 0}));
}

TEST(WorkerCore, KeepsTheNextStepsBucketsUntilItsPullIsOver) {
  WorkerCore core(
      {/*rank=*/0, /*servers=*/1, /*buckets=*/1, /*answered=*/false, /*steps_in_flight_max=*/2});
  std::vector<WorkerAction> actions;
  core.StepBegins(0, &actions);
  core.GradientReady(0, 0, &actions);
  core.StepEnds(0, &actions);
  core.StepBegins(1, &actions);
  EXPECT_EQ(KindsOf(actions), std::vector<Kind>({Kind::kLetStepBegin, Kind::kSend, Kind::kExpect,
                                                 Kind::kExpect, Kind::kSend, Kind::kLetStepBegin}));
  actions.clear();
  core.GradientReady(1, 0, &actions);
  core.StepEnds(1, &actions);
  core.StepBegins(2, &actions);  // whose arena step 0 still has
  core.MessageLeft(&actions);
  core.MessageLeft(&actions);
  Tag answer{MessageKind::kPull};
  answer.note = 70;
  core.MessageArrived(0, answer, &actions);
  EXPECT_TRUE(actions.empty());
  Tag weights{MessageKind::kWeights};
  weights.note = 5;
  core.MessageArrived(0, weights, &actions);
  EXPECT_EQ(KindsOf(actions),
            std::vector<Kind>({Kind::kDeliver, Kind::kSwap, Kind::kLetStepBegin, Kind::kSend,
                               Kind::kExpect, Kind::kExpect, Kind::kSend}));
  EXPECT_EQ(actions[3].tag.note, 0);  // step 1 was computed from weights without an update
  EXPECT_EQ(core.front_versions()[0], 5);
  EXPECT_EQ(core.parked_us(), 70);
  EXPECT_EQ(core.ended(), 1);
}

TEST(WorkerCore, ADrainBeforeAnyStepSendsNothing) {
  for (const bool answered : {true, false}) {
    WorkerCore core(
        {/*rank=*/0, /*servers=*/2, /*buckets=*/1, answered, /*steps_in_flight_max=*/1});
    std::vector<WorkerAction> actions;
    core.DrainAsked(&actions);
    EXPECT_EQ(KindsOf(actions), std::vector<Kind>({Kind::kDrained}));
    EXPECT_TRUE(core.idle());
  }
}

}  // namespace
}  // namespace ringmaster
