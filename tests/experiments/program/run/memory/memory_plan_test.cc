#include "experiments/program/run/memory/memory_plan.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/run/memory/memory_need.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kArena = 4'000'000;  // bytes of a million parameters

RunSpec SpecOf(const std::string& arm, int32_t workers, const std::string& transport = "tcp") {
  RunSpec base;
  base.mutable_training()->set_steps(10);
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_kernels("cpu");
  base.mutable_training()->set_evaluate_every_samples(0);
  base.mutable_transport()->set_name(transport);
  return *Resolve(*MakeArm(arm, base), {"/data", 0});
}

MemoryFacts Facts() {
  MemoryFacts facts;
  facts.parameters = 1'000'000;
  facts.largest_bucket = 100'000;
  facts.buckets = 10;
  facts.train_samples = 1000;
  facts.test_samples = 100;
  facts.sample_bytes = 788;
  facts.batch_bytes = 3000;
  facts.activation_bytes = 70'000;
  return facts;
}

// Of the first process that has a node of that role.
MemoryNeed NeedOf(const RunSpec& spec, const std::string& role,
                  const MemoryFacts& facts = Facts()) {
  for (const MemoryNeed& need : PlanMemory(spec, facts)) {
    for (const std::string& node : need.nodes())
      if (node == role + "/0") return need;
  }
  return MemoryNeed();
}

// Copies of the weights that a node's process takes, with plain SGD: to a tenth.
std::string Arenas(const MemoryNeed& need) {
  const double bytes =
      static_cast<double>(need.weights_bytes() + need.gradients_bytes() + need.codec_bytes());
  return need.nodes().empty() ? "" : absl::StrFormat("%.1f", bytes / kArena);
}

// By arm: what a worker and a server of two workers keep over sockets, in copies of the weights. A
// change here is a change of what every run takes.
TEST(PlanMemory, HasSoManyCopiesOfTheWeightsByArm) {
  const std::map<std::string, std::pair<std::string, std::string>> expected = {
      {"single", {"3.0", ""}},             // weights, and two ranks' gradients
      {"solo", {"2.0", ""}},               // weights and gradients
      {"ring", {"2.0", ""}},               // the same
      {"sharded-optimizer", {"2.0", ""}},  // the same
      {"delayed", {"3.0", ""}},            // gradients of two steps
      {"local-sgd", {"3.0", ""}},          // what is averaged
      {"gossip", {"4.0", ""}},             // and the model
      {"easgd", {"5.0", ""}},              // and the center, and weights on their way
      {"ps", {"3.0", "3.0"}},              // what arrives; two workers' gradients
      {"ssp", {"3.0", "5.0"}},             // an answer to each worker
      {"async", {"4.0", "5.0"}},           // gradients of two steps
      {"geo", {"5.0", "5.0"}},             // where steps alone began, and how far they came
  };
  for (const auto& [arm, arenas] : expected) {
    const RunSpec spec = SpecOf(arm, 2);
    EXPECT_EQ(Arenas(NeedOf(spec, "worker")), arenas.first) << arm;
    EXPECT_EQ(Arenas(NeedOf(spec, "server")), arenas.second) << arm;
  }
}

TEST(PlanMemory, SharesWhatProcessesReadInPlace) {
  // A gradient of each of two workers lies half at the server, over shared memory; and the server's
  // weights a third at each of three.
  const MemoryNeed worker = NeedOf(SpecOf("ps", 2, "shm"), "worker");
  EXPECT_EQ(worker.gradients_bytes(), kArena / 2);
  EXPECT_NEAR(worker.weights_bytes(), 2 * kArena + kArena / 3, 2);
  const std::vector<MemoryNeed> needs = PlanMemory(SpecOf("ps", 2, "shm"), Facts());
  int64_t gradients = 0;
  for (const MemoryNeed& need : needs) gradients += need.gradients_bytes();
  EXPECT_EQ(gradients, 2 * kArena);
}

TEST(PlanMemory, OptimizerStateIsWhereUpdatesAreMade) {
  MemoryFacts facts = Facts();
  facts.optimizer_arrays = 2;
  EXPECT_EQ(NeedOf(SpecOf("ring", 4), "worker", facts).optimizer_bytes(), 2 * kArena);
  EXPECT_EQ(NeedOf(SpecOf("sharded-optimizer", 4), "worker", facts).optimizer_bytes(), kArena / 2);
  EXPECT_EQ(NeedOf(SpecOf("ps", 4), "worker", facts).optimizer_bytes(), 0);
  EXPECT_EQ(NeedOf(SpecOf("ps", 4), "server", facts).optimizer_bytes(), 2 * kArena);
  EXPECT_EQ(NeedOf(SpecOf("geo", 4), "worker", facts).optimizer_bytes(), 2 * kArena);
  facts.workers_have_gpus = true;
  EXPECT_EQ(NeedOf(SpecOf("ring", 4), "worker", facts).optimizer_bytes(), 0);
  EXPECT_EQ(NeedOf(SpecOf("ps", 4), "server", facts).optimizer_bytes(), 2 * kArena);
}

TEST(PlanMemory, WhatAWorkerHoldsOfEncodedWeightsLiesAtBothEndsAtServersOnceWhereAllHoldTheSame) {
  const auto codec_of = [](const char* arm, const char* role) {
    RunSpec spec = SpecOf(arm, 3);
    spec.mutable_strategy()->mutable_parameter_server()->mutable_down_codec()->set_name("natural");
    return NeedOf(spec, role).codec_bytes();
  };
  const int64_t encoding = 1'125'000;  // nine bits an element
  EXPECT_EQ(codec_of("ps", "worker"), kArena + encoding);
  EXPECT_EQ(codec_of("ps", "server"), kArena + encoding);
  EXPECT_EQ(codec_of("async", "server"), 3 * (kArena + encoding));
}

TEST(PlanMemory, EachMarkButTheLastIsAnArenaOfTheWholeRun) {
  for (const char* arm : {"ring", "ps"}) {
    RunSpec spec = SpecOf(arm, 2);
    const auto marks_of = [&] {
      int64_t bytes = 0;
      for (const MemoryNeed& need : PlanMemory(spec, Facts())) bytes += need.marks_bytes();
      return bytes;
    };
    EXPECT_EQ(marks_of(), 0) << arm;
    spec.mutable_training()->set_evaluate_every_samples(2 * GlobalBatch(spec));
    // Workers that keep them themselves put each together to score it.
    EXPECT_EQ(marks_of(), (4 + (arm == std::string("ring") ? 2 : 0)) * kArena) << arm;
  }
}

TEST(PlanMemory, StatesOfCheckpointsAreHeldThreeTimes) {
  RunSpec spec = SpecOf("ring", 3);
  EXPECT_EQ(NeedOf(spec, "worker").checkpoints_bytes(), 0);
  spec.mutable_output()->set_checkpoints("folder");
  EXPECT_EQ(NeedOf(spec, "worker").checkpoints_bytes(), 3 * kArena);
}

TEST(PlanMemory, OfAProcessWithThreadsHasAllOfThem) {
  const std::vector<MemoryNeed> needs = PlanMemory(SpecOf("dp", 2), Facts());
  ASSERT_EQ(needs.size(), 1u);
  EXPECT_EQ(needs[0].nodes_size(), 3);
  const MemoryNeed worker = NeedOf(SpecOf("ps", 2), "worker");
  EXPECT_EQ(needs[0].activations_bytes(), 2 * worker.activations_bytes());
  // Two workers' gradients, which the server reads where they are.
  EXPECT_EQ(needs[0].gradients_bytes(), 2 * kArena);
}

TEST(PlanMemory, FactsComeFromTheSpec) {
  RunSpec base;
  base.mutable_training()->set_steps(1);
  base.mutable_training()->set_kernels("cpu");
  base.mutable_data()->set_name("synthetic");
  base.mutable_model()->set_name("mlp");
  base.mutable_optimizer()->set_name("adam");
  const auto facts_of = [](const RunSpec& spec) {
    return *MemoryFactsOf(*Resolve(*MakeArm("ring", spec), {"/data", 0}));
  };
  const MemoryFacts facts = facts_of(base);
  EXPECT_GT(facts.parameters, 1000);
  EXPECT_GT(facts.train_samples, 0);
  EXPECT_EQ(facts.optimizer_arrays, 2);
  EXPECT_GT(facts.sample_bytes, 100);
  EXPECT_GT(facts.buckets, 0);
  // A batch that is larger than those of an evaluation takes more.
  base.mutable_training()->set_batch_per_worker(1024);
  EXPECT_GT(facts_of(base).activation_bytes, 3 * facts.activation_bytes);
}

TEST(CheckMemory, RefusesWhatDoesNotFitAndSaysWhatItIsForMost) {
  const std::vector<MemoryNeed> needs = PlanMemory(SpecOf("ring", 3), Facts());
  const int64_t bytes = TotalBytesOfAll(needs);
  EXPECT_TRUE(CheckMemory(needs, bytes, "").ok());
  EXPECT_TRUE(CheckMemory(needs, std::nullopt, "").ok());
  const absl::Status refused = CheckMemory(needs, bytes - 1, "limit of 1 GB, /x/memory.max");
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("3 x worker"), HasSubstr("are free (limit of 1 GB, /x/memory.max)"),
                    HasSubstr("for programs: use fewer workers")));
  RunSpec adam = SpecOf("ring", 3);
  MemoryFacts facts = Facts();
  facts.optimizer_arrays = 20;
  EXPECT_THAT(std::string(CheckMemory(PlanMemory(adam, facts), 1, "").message()),
              HasSubstr("for the optimizer: use fewer workers, the arm sharded-optimizer"));
}

TEST(MemoryText, GroupsProcessesByRole) {
  EXPECT_THAT(MemoryText(PlanMemory(SpecOf("ps", 3), Facts())),
              AllOf(HasSubstr("3 x worker "), HasSubstr(", server "), HasSubstr("; together ")));
  EXPECT_THAT(MemoryText(PlanMemory(SpecOf("dp", 2), Facts())), HasSubstr("2 workers+server "));
}

}  // namespace
}  // namespace ringmaster
