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

TEST(WorkerCore, ACheckpointIsOneRequestToEachServerAndIsOverWhenAllHaveAnswered) {
  WorkerCore core(
      {/*rank=*/0, /*servers=*/2, /*buckets=*/3, /*answered=*/true, /*steps_in_flight_max=*/1});
  std::vector<WorkerAction> actions;
  core.DrainAsked(&actions);
  actions.clear();
  core.KeepAsked(300, &actions);
  EXPECT_EQ(KindsOf(actions),
            std::vector<Kind>({Kind::kExpect, Kind::kExpect, Kind::kSend, Kind::kSend}));
  EXPECT_EQ(actions[0].tag, (Tag{MessageKind::kPull, 0, 0, 0}));
  const PullNote note = DecodePullNote(actions[2].tag.note);
  EXPECT_EQ(note.kept_step, 300);
  EXPECT_EQ(note.mark, -1);
  EXPECT_FALSE(note.drain || note.farewell);
  const Tag answer = actions[0].tag;
  actions.clear();
  core.MessageLeft(&actions);
  core.MessageLeft(&actions);
  core.MessageArrived(1, answer, &actions);
  EXPECT_TRUE(actions.empty());
  core.MessageArrived(0, answer, &actions);
  EXPECT_EQ(KindsOf(actions), std::vector<Kind>({Kind::kKept}));
  EXPECT_TRUE(core.idle());
  actions.clear();
  core.StepBegins(0, &actions);  // training goes on
  EXPECT_EQ(KindsOf(actions), std::vector<Kind>({Kind::kLetStepBegin}));
}

TEST(PullNote, SaysOneThingAtATime) {
  for (const int64_t step : {int64_t{0}, int64_t{1}, int64_t{300}, int64_t{1} << 40}) {
    PullNote note;
    note.kept_step = step;
    const PullNote read = DecodePullNote(EncodePullNote(note));
    EXPECT_EQ(read.kept_step, step);
    EXPECT_EQ(read.mark, -1);
    PullNote other;
    other.mark = 7;
    EXPECT_EQ(DecodePullNote(EncodePullNote(other)).mark, 7);
    EXPECT_EQ(DecodePullNote(EncodePullNote(other)).kept_step, -1);
    EXPECT_EQ(DecodePullNote(EncodePullNote({step, true})).clock, step);
    EXPECT_EQ(DecodePullNote(EncodePullNote({step, true})).kept_step, -1);
  }
}

}  // namespace
}  // namespace ringmaster
