#include "experiments/program/run/formations/formation_core.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

RunSpec SpecOf(const std::string& arm, int32_t workers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_batch_per_worker(6);
  base.mutable_training()->set_steps(50);
  base.mutable_strategy()->set_on_failure(StrategySpec::REFORM);
  return *Resolve(*MakeArm(arm, base), {});
}

State StateOf(int64_t number) {
  State state;
  state.AddInteger("number", number);
  return state;
}

int64_t NumberIn(const State& state) {
  int64_t number = -1;
  EXPECT_TRUE(state.CopyTo({{"number", &number}}).ok());
  return number;
}

// To formation `epoch` of those `left` of the workers before, each in a process of its own.
Welcome WelcomeTo(int32_t epoch, int64_t step, const std::vector<int32_t>& left) {
  Welcome welcome;
  welcome.set_epoch(epoch);
  welcome.set_step(step);
  for (const int32_t rank : left) {
    ProcessEntry* const entry = welcome.add_processes();
    entry->add_nodes()->set_index(welcome.processes_size() - 1);
    entry->add_nodes_before()->set_index(rank);
  }
  return welcome;
}

TEST(FormationCore, GoesOnFromTheStepOfTheWelcomeWithTheStateBeforeIt) {
  NodeStates node;
  FormationCore core(SpecOf("ring", 4), 2, {&node});
  node.steps.Keep(7, StateOf(70));
  node.steps.Keep(8, StateOf(80));
  EXPECT_EQ(core.StepsToGoOnFrom(), std::vector<int64_t>({7, 8}));
  ASSERT_TRUE(core.GoOn(WelcomeTo(1, 7, {0, 2, 3})).ok());
  EXPECT_EQ(NumberIn(*node.state), 70);
  EXPECT_EQ(core.place().epoch, 1);
  EXPECT_EQ(core.place().process, 1);
  EXPECT_EQ(core.place().first_step, 7);
  EXPECT_EQ(core.nodes(), std::vector<NodeId>({{Role::kWorker, 1}}));
  EXPECT_EQ(core.spec().training().workers(), 3);
  EXPECT_EQ(GlobalBatch(core.spec()), GlobalBatch(SpecOf("ring", 4)));
}

TEST(FormationCore, KeepsTheRuleOfItsOrderOrTheOrderOfThoseLeft) {
  RunSpec spec = SpecOf("ring", 4);
  for (const auto& [order, later] : {std::pair<std::string, std::string>("hosts", "hosts"),
                                     {"ranks", "ranks"},
                                     {"3,1,0,2", "2,0,1"}}) {
    spec.mutable_strategy()->set_group_order(order);
    FormationCore core(spec, 2, {});
    ASSERT_TRUE(core.GoOn(WelcomeTo(1, 0, {0, 2, 3})).ok());
    EXPECT_EQ(core.spec().strategy().group_order(), later);
  }
}

TEST(FormationCore, WhoHasBegunNoStepGoesOnFromWhereItsFormationBegan) {
  NodeStates node;
  FormationCore core(SpecOf("ring", 4), 3, {&node});
  EXPECT_EQ(core.StepsToGoOnFrom(), std::vector<int64_t>({0})) << "from the initial weights";
  node.steps.Keep(7, StateOf(70));
  ASSERT_TRUE(core.GoOn(WelcomeTo(1, 7, {0, 2, 3})).ok());
  EXPECT_EQ(core.StepsToGoOnFrom(), std::vector<int64_t>({7}));
  // Its names are those of the formation before, whatever it was called at first.
  ASSERT_TRUE(core.GoOn(WelcomeTo(2, 7, {1, 2})).ok());
  EXPECT_EQ(NumberIn(*node.state), 70);
  EXPECT_EQ(core.place().process, 1);
  EXPECT_EQ(core.nodes(), std::vector<NodeId>({{Role::kWorker, 1}}));
  EXPECT_EQ(core.spec().training().workers(), 2);
}

TEST(FormationCore, OffersStepsThatAllNodesOfTheProcessHave) {
  RunSpec spec = SpecOf("ps", 3);
  spec.mutable_strategy()->mutable_parameter_server()->set_servers(1);
  spec.mutable_strategy()->mutable_parameter_server()->set_placement(
      ParameterServerSpec::COLOCATED);
  NodeStates worker, server;
  FormationCore core(spec, 0, {&worker, &server});
  ASSERT_EQ(core.nodes().size(), 2u);
  worker.steps.Keep(4, StateOf(4));
  worker.steps.Keep(5, StateOf(5));
  server.steps.Keep(5, StateOf(5));
  server.steps.Keep(6, StateOf(6));
  EXPECT_EQ(core.StepsToGoOnFrom(), std::vector<int64_t>({5}));
}

TEST(FormationCore, RefusesABatchThatThoseLeftCannotShare) {
  NodeStates node;
  FormationCore core(SpecOf("ring", 5), 0, {&node});  // of 30 samples
  EXPECT_EQ(core.GoOn(WelcomeTo(1, 0, {0, 1, 2, 3})).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ringmaster
