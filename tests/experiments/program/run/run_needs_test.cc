#include "experiments/program/run/run_needs.h"

#include <map>
#include <string>

#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kArena = 4'000'000;  // bytes of a million parameters

RunSpec SpecOf(const std::string& arm, int32_t workers) {
  RunSpec base;
  base.mutable_training()->set_steps(10);
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_kernels("cpu");
  return *Resolve(*MakeArm(arm, base), {"/data", 0});
}

MemoryFacts Facts() {
  MemoryFacts facts;
  facts.parameters = 1'000'000;
  facts.train_samples = 1000;
  facts.test_samples = 100;
  facts.sample_bytes = 788;
  return facts;
}

TEST(PlanMemory, OfARingHasArenasOnEveryWorker) {
  const MemoryPlan plan = PlanMemory(SpecOf("ring", 3), Facts());
  EXPECT_EQ(plan.weights, 3 * 2 * kArena);    // initial ones and the replica's
  EXPECT_EQ(plan.gradients, 3 * 2 * kArena);  // of two steps
  EXPECT_EQ(plan.optimizer, 0);
  EXPECT_EQ(plan.codec, 0);
  EXPECT_EQ(plan.train_set, 3 * 788'000);
  EXPECT_EQ(plan.test_set, 3 * 78'800);
  EXPECT_EQ(plan.total(), plan.programs + 12 * kArena + 3 * 866'800);
}

TEST(PlanMemory, OptimizerStateIsWhereUpdatesAreMade) {
  MemoryFacts facts = Facts();
  facts.optimizer_arrays = 2;
  EXPECT_EQ(PlanMemory(SpecOf("ring", 3), facts).optimizer, 3 * 2 * kArena);
  EXPECT_EQ(PlanMemory(SpecOf("ps", 3), facts).optimizer, 2 * kArena);
}

TEST(PlanMemory, OfServersHasWhatTheyReceive) {
  const MemoryPlan plan = PlanMemory(SpecOf("ps", 3), Facts());
  // Four processes with initial weights; a replica and what arrives on each worker; the server's.
  EXPECT_EQ(plan.weights, (4 + 3 * 2 + 1) * kArena);
  EXPECT_EQ(plan.gradients, (3 * 2 + 1 + 3) * kArena);
}

TEST(PlanMemory, WhoseCenterIsOnServersHasItAtEachWorkerToo) {
  // As a worker under a bound, which also keeps what arrives, and the center.
  EXPECT_EQ(PlanMemory(SpecOf("easgd-async", 3), Facts()).weights,
            PlanMemory(SpecOf("ssp", 3), Facts()).weights + 3 * kArena);
}

TEST(PlanMemory, WhatAWorkerHoldsOfEncodedWeightsLiesAtBothEndsAtServersOnceWhereAllHoldTheSame) {
  const auto codec_of = [](const char* arm) {
    RunSpec spec = SpecOf(arm, 3);
    spec.mutable_strategy()->mutable_parameter_server()->mutable_down_codec()->set_name("natural");
    return PlanMemory(spec, Facts()).codec;
  };
  // A worker's array and what arrives there; the same for each worker on servers, or once.
  const int64_t encoding = 1'125'000;  // nine bits an element
  EXPECT_EQ(codec_of("ps"), (3 + 1) * (kArena + encoding));
  EXPECT_EQ(codec_of("async"), (3 + 3) * (kArena + encoding));
  EXPECT_EQ(codec_of("backup"), (3 + 3) * (kArena + encoding));
}

TEST(PlanMemory, OfServersThatDoNotAnswerAllAlikeHasCopiesForTheWorkers) {
  const int64_t plain = PlanMemory(SpecOf("ps", 3), Facts()).weights;
  // What an answer is sent from; of delay compensation what the last two were, and a mean of
  // squares. Without a bound a worker also keeps what has arrived.
  for (const auto& [arm, arenas] : std::map<std::string, int64_t>{
           {"ssp", 3}, {"async", 3 + 3}, {"backup", 3}, {"dc-async", 3 + 10}})
    EXPECT_EQ(PlanMemory(SpecOf(arm, 3), Facts()).weights, plain + arenas * kArena) << arm;
}

TEST(PlanMemory, OfStepsMadeAloneHasTheOptimizerAndThreeArenasAtEachWorker) {
  MemoryFacts facts = Facts();
  facts.optimizer_arrays = 2;
  const MemoryPlan geo = PlanMemory(SpecOf("geo", 3), facts);
  EXPECT_EQ(geo.optimizer, 3 * 2 * kArena);
  // Four processes; a replica, what arrives, where it began and how far it has come; the server's
  // and its three answers.
  EXPECT_EQ(geo.weights, (4 + 3 * (1 + 3) + 1 + 3) * kArena);
}

TEST(PlanMemory, EachMarkButTheLastIsAnArenaOfTheWholeRun) {
  for (const char* arm : {"ring", "ps"}) {
    RunSpec spec = SpecOf(arm, 3);
    spec.mutable_training()->set_steps(10);
    spec.mutable_training()->set_evaluate_every_samples(0);
    EXPECT_EQ(PlanMemory(spec, Facts()).marks, 0) << arm;
    spec.mutable_training()->set_evaluate_every_samples(2 * GlobalBatch(spec));
    EXPECT_EQ(PlanMemory(spec, Facts()).marks, 4 * kArena) << arm;
  }
}

TEST(PlanMemory, StatesOfCheckpointsAreHeldThreeTimes) {
  RunSpec spec = SpecOf("ring", 3);
  EXPECT_EQ(PlanMemory(spec, Facts()).checkpoints, 0);
  spec.mutable_output()->set_checkpoints("folder");
  const MemoryPlan plan = PlanMemory(spec, Facts());
  EXPECT_EQ(plan.checkpoints, 3 * (3 * kArena + plan.optimizer));
  EXPECT_EQ(plan.total() - plan.checkpoints, PlanMemory(SpecOf("ring", 3), Facts()).total());
}

TEST(PlanMemory, WhoExchangesWeightsHasArenasForThatAndKeepsMarksAtEachWorkerWhereItIsAnAverage) {
  struct Row {
    const char* arm;
    int64_t arenas, holders;
  };
  for (const Row& row :
       {Row{"local-sgd", 1, 3}, Row{"diloco", 3, 3}, Row{"gossip", 2, 3}, Row{"easgd", 3, 1}}) {
    RunSpec spec = SpecOf(row.arm, 3);
    spec.mutable_training()->set_steps(10);
    spec.mutable_training()->set_evaluate_every_samples(2 * GlobalBatch(spec));
    const MemoryPlan plan = PlanMemory(spec, Facts());
    EXPECT_EQ(plan.weights, 3 * (2 + row.arenas) * kArena) << row.arm;
    EXPECT_EQ(plan.marks, 4 * row.holders * kArena) << row.arm;
  }
  // What is sent, and what each of two neighbours sends, lies apart where one may be lost.
  RunSpec going_on = SpecOf("gossip", 3);
  going_on.mutable_strategy()->set_on_failure(StrategySpec::CONTINUE);
  EXPECT_EQ(PlanMemory(going_on, Facts()).weights, 3 * (2 + 2 + 3) * kArena);
}

TEST(PlanMemory, ErrorFeedbackIsAnArenaMore) {
  const MemoryPlan plan = PlanMemory(SpecOf("ring-topk", 2), Facts());
  EXPECT_GT(plan.codec, 2 * kArena);
  EXPECT_EQ(PlanMemory(SpecOf("ring", 2), Facts()).codec, 0);
}

TEST(PlanMemory, WhatEmulatedGradientsAreCopiedFromIsAnArenaMore) {
  RunSpec emulated = SpecOf("ring", 2);
  emulated.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
  EXPECT_EQ(PlanMemory(emulated, Facts()).gradients, 2 * 3 * kArena);
  const RunSpec computed = SpecOf("ring", 2);
  EXPECT_EQ(LeastAddressSpace(emulated, 1'000'000),
            LeastAddressSpace(computed, 1'000'000) + kArena);
}

TEST(PlanMemory, FactsComeFromTheSpec) {
  RunSpec base;
  base.mutable_training()->set_steps(1);
  base.mutable_data()->set_name("synthetic");
  base.mutable_model()->set_name("mlp");
  base.mutable_optimizer()->set_name("adam");
  const auto facts = MemoryFactsOf(*Resolve(*MakeArm("ring", base), {"/data", 0}));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_GT(facts->parameters, 1000);
  EXPECT_GT(facts->train_samples, 0);
  EXPECT_EQ(facts->optimizer_arrays, 2);
  EXPECT_GT(facts->sample_bytes, 100);
}

}  // namespace
}  // namespace ringmaster
