// What the spec of a run becomes when a worker of it is lost, and which specs may lose one.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "common/scheme/registry.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/common/config/known_names.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

RunSpec SpecOf(const std::string& arm, int32_t workers, int32_t batch,
               StrategySpec::OnFailure on_failure = StrategySpec::REFORM) {
  RunSpec base;
  base.mutable_data()->set_name("synthetic");
  base.mutable_model()->set_name("mlp");
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_batch_per_worker(batch);
  base.mutable_training()->set_steps(50);
  base.mutable_strategy()->set_on_failure(on_failure);
  auto spec = MakeArm(arm, base);
  EXPECT_TRUE(spec.ok()) << spec.status();
  ResolveContext context;
  context.train_samples = 1000;
  const auto resolved = Resolve(*spec, context);
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

TEST(ReformedSpec, KeepsTheGlobalBatchByLargerBatchesOrByMoreOfThem) {
  struct Case {
    int32_t workers, batch, accumulate, left;
    int32_t expected_batch, expected_accumulate;
  };
  const Case cases[] = {
      {4, 12, 1, 3, 16, 1}, {4, 12, 1, 2, 24, 1}, {4, 12, 2, 3, 16, 2},
      {3, 1, 2, 2, 1, 3},   {3, 5, 4, 2, 6, 5},   {2, 7, 1, 1, 14, 1},
  };
  for (const Case& of : cases) {
    RunSpec spec = SpecOf("ring", of.workers, of.batch);
    spec.mutable_training()->set_accumulate(of.accumulate);
    spec.mutable_training()->mutable_emulated_compute()->set_milliseconds(2.0 * of.batch);
    std::vector<int32_t> left(of.left);
    const auto reformed = ReformedSpec(spec, left);
    ASSERT_TRUE(reformed.ok()) << reformed.status();
    EXPECT_EQ(GlobalBatch(*reformed), GlobalBatch(spec));
    EXPECT_EQ(reformed->training().workers(), of.left);
    EXPECT_EQ(reformed->training().batch_per_worker(), of.expected_batch);
    EXPECT_EQ(reformed->training().accumulate(), of.expected_accumulate);
    EXPECT_DOUBLE_EQ(reformed->training().emulated_compute().milliseconds(),
                     2.0 * of.expected_batch);
    EXPECT_EQ(reformed->training().steps(), spec.training().steps());
    const auto marks = SampleMarks(spec), kept = SampleMarks(*reformed);
    ASSERT_EQ(kept.size(), marks.size());
    for (size_t mark = 0; mark < marks.size(); ++mark) {
      EXPECT_EQ(kept[mark].update, marks[mark].update);
      EXPECT_EQ(kept[mark].samples, marks[mark].samples);
    }
  }
}

TEST(ReformedSpec, SlowRanksKeepTheirSlowness) {
  RunSpec spec = SpecOf("ring", 4, 12);
  SlowdownSpec* slow = spec.mutable_training()->add_slowdowns();
  slow->set_factor(2);
  for (const int32_t rank : {1, 3}) slow->add_ranks(rank);
  slow = spec.mutable_training()->add_slowdowns();
  slow->set_factor(3);
  slow->add_ranks(1);
  const auto reformed = ReformedSpec(spec, std::vector<int32_t>{0, 2, 3});
  ASSERT_TRUE(reformed.ok());
  ASSERT_EQ(reformed->training().slowdowns_size(), 1);
  EXPECT_EQ(reformed->training().slowdowns(0).factor(), 2);
  ASSERT_EQ(reformed->training().slowdowns(0).ranks_size(), 1);
  EXPECT_EQ(reformed->training().slowdowns(0).ranks(0), 2);
}

TEST(ReformedSpec, WhatCannotBeHadIsRefusedByName) {
  struct Case {
    const char* what;
    RunSpec spec;
    const char* expected;
  };
  const auto edited = [](RunSpec spec, const std::function<void(RunSpec*)>& edit) {
    edit(&spec);
    return spec;
  };
  const RunSpec ring = SpecOf("ring", 4, 12);
  const std::vector<Case> cases = {
      {"shares", SpecOf("ring", 4, 10), "40 samples cannot be shared evenly by the 3 workers"},
      {"alone", SpecOf("ring", 1, 10), "or there is one"},
      {"server everywhere", SpecOf("ps-sharded", 4, 12), "state that is lost with a process"},
      {"gossip", SpecOf("gossip", 4, 12), "\"gossip\""},
      {"batches",
       edited(ring, [](RunSpec* spec) { spec->mutable_output()->set_dump_batches("x"); }),
       "output.dump_batches"},
      {"racks",
       edited(ring,
              [](RunSpec* spec) {
                NetworkSpec* network = spec->mutable_transport()->mutable_network();
                network->set_megabits_per_second(100);
                network->mutable_racks()->set_workers_each(2);
                network->mutable_racks()->set_servers(RacksSpec::SPREAD);
              }),
       "numbered anew"},
      {"groups",
       edited(SpecOf("hierarchical", 4, 12),
              [](RunSpec* spec) {
                spec->mutable_strategy()->mutable_all_reduce()->set_group_size(2);
              }),
       "without one worker"},
  };
  for (const Case& of : cases) {
    SCOPED_TRACE(of.what);
    const absl::Status status = Validate(of.spec, TestNames());
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(absl::StrContains(status.message(), "on_failure = REFORM")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), of.expected)) << status;
  }
  EXPECT_TRUE(Validate(ring, TestNames()).ok()) << Validate(ring, TestNames());
  EXPECT_TRUE(Validate(SpecOf("ps", 4, 12), TestNames()).ok());
}

TEST(ReformedSpec, GroupsWithoutASizeOfTheirOwnAreMadeAnew) {
  const RunSpec spec = SpecOf("hierarchical", 4, 12);
  EXPECT_TRUE(Validate(spec, TestNames()).ok()) << Validate(spec, TestNames());
  const auto reformed = ReformedSpec(spec, {0, 2, 3});
  ASSERT_TRUE(reformed.ok()) << reformed.status();
  EXPECT_EQ(TraitsOf(*reformed).group_size, 3);
}

// So one flag sets arms of every kind side by side.
TEST(ReformedSpec, GoingOnMeansWhatTheArmCan) {
  int continuing = 0, reforming = 0;
  for (const std::string& arm : AllArms()) {
    SCOPED_TRACE(arm);
    const RunSpec spec = SpecOf(arm, 4, 12, StrategySpec::GO_ON);
    const SchemeTraits traits = TraitsOf(spec);
    const bool is_alone = spec.strategy().launch() == THREADS;
    const auto expected = is_alone              ? StrategySpec::RESTART
                          : traits.may_continue ? StrategySpec::CONTINUE
                          : traits.may_reform   ? StrategySpec::REFORM
                                                : StrategySpec::RESTART;
    EXPECT_EQ(spec.strategy().on_failure(), expected);
    continuing += expected == StrategySpec::CONTINUE ? 1 : 0;
    reforming += expected == StrategySpec::REFORM ? 1 : 0;
  }
  EXPECT_GT(continuing, 3);
  EXPECT_GT(reforming, 3);
  // Nobody goes on where he is in a run that keeps checkpoints.
  RunSpec base;
  base.mutable_data()->set_name("synthetic");
  base.mutable_model()->set_name("mlp");
  base.mutable_training()->set_steps(50);
  base.mutable_training()->set_checkpoint_every_steps(10);
  base.mutable_strategy()->set_on_failure(StrategySpec::GO_ON);
  ResolveContext context;
  context.train_samples = 1000;
  EXPECT_EQ(Resolve(*MakeArm("async", base), context)->strategy().on_failure(),
            StrategySpec::RESTART);
  // One process leaves nobody, and can be started again.
  EXPECT_EQ(SpecOf("ring", 1, 12, StrategySpec::GO_ON).strategy().on_failure(),
            StrategySpec::RESTART);
}

TEST(ReformedSpec, EveryArmTakesWhatFollowsALossFromItsBase) {
  for (const std::string& arm : AllArms())
    EXPECT_EQ(SpecOf(arm, 4, 12).strategy().on_failure(), StrategySpec::REFORM) << arm;
}

}  // namespace
}  // namespace ringmaster
