#include "experiments/study/results/gate.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

TEST(Gate, TheFirstBlockHasFiveSecondsOrTheStepsOfATurn) {
  const std::vector<float> slow(200, 300), quick(200, 1);
  EXPECT_EQ(FirstBlock({slow}, 5).end, 22);  // 17 steps of 0.3 s
  EXPECT_EQ(FirstBlock({quick}, 5).end, 105);
  EXPECT_EQ(FirstBlock({quick}, 5).begin, 5);
  const std::vector<float> crawling(200, 20000);
  EXPECT_EQ(FirstBlock({crawling}, 5).end, 15) << "at least 10 steps";
  EXPECT_EQ(FirstBlock({quick}, 150).end, 200) << "there are no more";
  EXPECT_EQ(FirstBlock({}, 5).end, 0);
  EXPECT_EQ(FirstBlock({quick}, 200).end, 0);
}

TEST(Gate, ABlockIsTheMedianOfItsStepsOverAllWorkers) {
  const std::vector<float> one = {99, 1, 2, 3}, other = {99, 4, 5, 6};
  EXPECT_EQ(FirstBlock({one, other}, 1).step_ms, 3.5);
  EXPECT_EQ(MedianStepMs({one, other}, 1, 3), 3);
}

TEST(Gate, FailsOnEitherSide) {
  const auto judge = [](double begin_ms, double end_ms) {
    return JudgeGate("ring", {{5, 105, begin_ms}, {5, 105, end_ms}}, 5);
  };
  EXPECT_TRUE(judge(10, 10.4).passes);
  EXPECT_FALSE(judge(10, 10.6).passes);
  EXPECT_FALSE(judge(10, 9.4).passes);
  EXPECT_FALSE(judge(0, 10).passes) << "no block at the beginning";
  EXPECT_FALSE(judge(10, 0).passes) << "none at the end";
  const std::string text = judge(10, 13).text;
  EXPECT_THAT(text,
              HasSubstr("not quotable: a step of ring took 10 ms at the beginning and 13 ms"));
  EXPECT_THAT(text, HasSubstr("(median of steps 5 to 104), +30.0 %, allowed 5 %"));
  EXPECT_THAT(JudgeGate("ring", {{5, 105, 10}, {205, 305, 10}}, 5).text,
              HasSubstr("(median of steps 5 to 104 and of 205 to 304)"));
}

// Of 32 steps: 2 of the warm-up, then turns of which the first 3 steps are not timed.
RunRecord RecordOfTurns(const std::vector<int64_t>& ends) {
  RunRecord record;
  record.mutable_spec()->mutable_training()->set_workers(2);
  WorkerReport* const worker = record.add_reports()->add_workers();
  for (int step = 0; step < 32; ++step) worker->add_step_ms(static_cast<float>(step));
  int64_t begin = 0, timed = 30;
  for (const int64_t end : ends) {
    ArmTurn* const turn = record.add_turns();
    turn->set_begin_step(begin);
    turn->set_end_step(end);
    for (int64_t step = begin; begin > 0 && step < std::min(begin + 3, end); ++step, --timed)
      worker->add_untimed_steps(static_cast<int32_t>(step));
    begin = end;
  }
  worker->set_timed_steps(timed);
  return record;
}

std::optional<GateBlocks> BlocksOf(const RunRecord& record) {
  return BlocksOfTurns(record.reports(), record.turns(), record.spec().training().workers());
}

TEST(Gate, BlocksOfAnArmThatTookTurnsAreItsFirstAndItsLast) {
  const auto blocks = BlocksOf(RecordOfTurns({10, 20, 30, 32}));
  ASSERT_TRUE(blocks.has_value());
  EXPECT_EQ(blocks->begin.begin, 0);
  EXPECT_EQ(blocks->begin.end, 10);
  EXPECT_EQ(blocks->begin.step_ms, 5.5) << "2 to 9";
  EXPECT_EQ(blocks->end.begin, 20) << "the last turn has no timed step";
  EXPECT_EQ(blocks->end.step_ms, 26) << "23 to 29";
  EXPECT_FALSE(BlocksOf(RecordOfTurns({28, 32})).has_value());
  EXPECT_FALSE(BlocksOf(RecordOfTurns({})).has_value());
}

TEST(Gate, OfClaimedWorkABlockHasTheStepsOfItsLots) {
  RunRecord record = RecordOfTurns({10, 32});
  WorkerReport* const worker = record.mutable_reports(0)->mutable_workers(0);
  for (int64_t step = 0; step < 32; ++step) worker->add_lots(step);
  worker->clear_untimed_steps();
  worker->set_timed_steps(30);
  const auto blocks = BlocksOf(record);
  ASSERT_TRUE(blocks.has_value());
  EXPECT_EQ(blocks->begin.step_ms, 10.5) << "2 to 19, whose lots are those of steps 1 to 9";
  EXPECT_EQ(blocks->end.step_ms, 25.5) << "20 to 31";
}

}  // namespace
}  // namespace ringmaster
