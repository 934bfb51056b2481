#include "experiments/program/run/placement.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

RunSpec ArmOf(const char* arm, int32_t workers, int32_t servers = 0) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(1);
  if (servers > 0) base.mutable_strategy()->mutable_parameter_server()->set_servers(servers);
  const absl::StatusOr<RunSpec> spec = MakeArm(arm, base);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *Resolve(*spec, {});
}

// "worker/0+server/0 worker/1"
std::string Describe(const RunSpec& spec) {
  std::string text;
  for (const std::vector<NodeId>& process : PlaceNodes(spec)) {
    absl::StrAppend(&text, text.empty() ? "" : " ");
    for (size_t i = 0; i < process.size(); ++i)
      absl::StrAppend(&text, i == 0 ? "" : "+", ToString(process[i]));
  }
  return text;
}

TEST(Placement, EveryArmHasItsNodesWhereTheTableOfArmsSaysSo) {
  EXPECT_EQ(Describe(ArmOf("single", 3)), "worker/0");
  EXPECT_EQ(Describe(ArmOf("solo", 3)), "worker/0 worker/1 worker/2");
  EXPECT_EQ(Describe(ArmOf("ring", 3)), "worker/0 worker/1 worker/2");
  EXPECT_EQ(Describe(ArmOf("direct", 2)), "worker/0 worker/1");
  EXPECT_EQ(Describe(ArmOf("ps", 2)), "worker/0 worker/1 server/0");
  EXPECT_EQ(Describe(ArmOf("ps", 2, 3)), "worker/0 worker/1 server/0 server/1 server/2");
  EXPECT_EQ(Describe(ArmOf("ssp", 2)), "worker/0 worker/1 server/0");
  EXPECT_EQ(Describe(ArmOf("async-topk", 1)), "worker/0 server/0");
  EXPECT_EQ(Describe(ArmOf("ps-sharded", 3)),
            "worker/0+server/0 worker/1+server/1 worker/2+server/2");
  EXPECT_EQ(Describe(ArmOf("dp", 3)), "worker/0+worker/1+worker/2+server/0");
}

TEST(Placement, ThreadsPutEveryNodeOfAnyStrategyIntoOneProcess) {
  for (const ArmInfo& arm : Arms()) {
    SCOPED_TRACE(arm.name);
    RunSpec spec = ArmOf(arm.name, 3);
    const size_t nodes = TrainingWorkers(spec) + TraitsOf(spec).servers;
    spec.mutable_strategy()->set_launch(THREADS);
    ASSERT_EQ(PlaceNodes(spec).size(), 1u);
    EXPECT_EQ(PlaceNodes(spec)[0].size(), nodes);
  }
}

TEST(Placement, HasAsManyProcessesAsDescribed) {
  for (const ArmInfo& arm : Arms()) {
    for (int32_t workers = 1; workers <= 4; ++workers) {
      SCOPED_TRACE(absl::StrCat(arm.name, " N=", workers));
      const RunSpec spec = ArmOf(arm.name, workers);
      EXPECT_EQ(static_cast<int32_t>(PlaceNodes(spec).size()), TraitsOf(spec).processes);
    }
  }
}

TEST(Placement, OnlySingleTrainsWithOneWorkerWhateverN) {
  EXPECT_EQ(TrainingWorkers(ArmOf("single", 4)), 1);
  EXPECT_EQ(TrainingWorkers(ArmOf("solo", 4)), 4);
  EXPECT_EQ(TrainingWorkers(ArmOf("dp", 4)), 4);
}

TEST(Placement, AServerSharesAPlaceWithTheWorkerItLivesBesideAndNobodyElse) {
  const NodeId worker0{Role::kWorker, 0}, worker1{Role::kWorker, 1};
  const NodeId server0{Role::kServer, 0}, server1{Role::kServer, 1};
  const RunSpec sharded = ArmOf("ps-sharded", 2);
  EXPECT_TRUE(AreColocated(sharded, worker1, server1));
  EXPECT_TRUE(AreColocated(sharded, server0, worker0));
  EXPECT_FALSE(AreColocated(sharded, worker0, server1));
  EXPECT_FALSE(AreColocated(sharded, worker0, worker1));
  const RunSpec dedicated = ArmOf("ps", 2, 2);
  EXPECT_FALSE(AreColocated(dedicated, worker0, server0));
  EXPECT_FALSE(AreColocated(dedicated, worker1, server1));
  EXPECT_FALSE(AreColocated(dedicated, server0, server1));
  // Threads share a process, yet what workers exchange there is traffic like anywhere.
  const RunSpec dp = ArmOf("dp", 2);
  EXPECT_TRUE(AreColocated(dp, worker0, server0));
  EXPECT_FALSE(AreColocated(dp, worker1, server0));
}

}  // namespace
}  // namespace ringmaster
