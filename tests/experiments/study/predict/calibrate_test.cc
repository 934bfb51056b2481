#include "experiments/study/predict/calibrate.h"

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

RunSpec SpecOf(const char* arm, int32_t workers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(10);
  return *Resolve(*MakeArm(arm, base), {});
}

TEST(MeasuredNetwork, EveryProcessHasACardOfTheFit) {
  const NetworkCosts costs = MeasuredNetwork(SpecOf("ps", 2), {30e-6, 1e9, 100}, 5e9);
  // two workers, one server; bytes a nanosecond
  EXPECT_THAT(costs.plan.egress, testing::ElementsAre(1, 1, 1));
  EXPECT_EQ(costs.plan.ingress, costs.plan.egress);
  EXPECT_TRUE(costs.plan.links.empty());
  EXPECT_EQ(costs.plan.link(0, 1).latency, 30'000);
  EXPECT_EQ(costs.copy_rate, 5e9);
}

TEST(MeasuredNetwork, NodesAndLinksThatDifferAreTheSpecs) {
  RunSpec spec = SpecOf("ps-sharded", 2);
  NetworkSpec* network = spec.mutable_transport()->mutable_network();
  network->set_megabits_per_second(800);
  network->set_latency_ms(2);
  NodeNetworkSpec* node = network->add_nodes();
  node->set_node("server/1");  // beside worker/1
  node->set_egress_megabits_per_second(8);
  LinkSpec* link = network->add_links();
  link->set_from("worker/0");
  link->set_to("worker/1");
  link->set_latency_ms(50);
  link->set_megabits_per_second(80);
  // Measured over the spec's own network: 2 ms and what handling takes.
  const NetworkCosts costs = MeasuredNetwork(spec, {2.1e-3, 99e6, 100}, 5e9);
  EXPECT_THAT(costs.plan.egress, testing::ElementsAre(99e-3, 1e-3));
  EXPECT_THAT(costs.plan.ingress, testing::ElementsAre(99e-3, 99e-3));
  EXPECT_EQ(costs.plan.link(0, 1).latency, 50'100'000);
  EXPECT_EQ(costs.plan.link(0, 1).rate, 10e-3);
  EXPECT_EQ(costs.plan.link(1, 0).latency, 2'100'000);
}

TEST(MeasuredNetwork, TheMeanOfJitterIsPartOfTheMeasuredLatency) {
  RunSpec spec = SpecOf("ring", 2);
  spec.mutable_transport()->mutable_network()->set_jitter_ms(4);
  const NetworkCosts costs = MeasuredNetwork(spec, {5e-3, 1e9, 100}, 5e9);
  EXPECT_EQ(costs.plan.link(0, 1).latency, 3'000'000);
  EXPECT_EQ(costs.plan.link(0, 1).jitter, 4'000'000);
}

TEST(AmongWorkers, EachHasACoreOrTheyTakeTurns) {
  const ComputeCosts alone = {0.001, 0.010, 0.002, {0.5, 1}};
  const ComputeCosts pair = {0.002, 0.011, 0.003, {0.5, 1}};
  EXPECT_EQ(AmongWorkers(alone, pair, {1, 2}).compute, alone.compute);
  // they were measured on that one core
  EXPECT_EQ(AmongWorkers(alone, pair, {2, 1}).compute, pair.compute);
  EXPECT_EQ(AmongWorkers(alone, pair, {2, 2}).compute, pair.compute);
  EXPECT_EQ(AmongWorkers(alone, pair, {8, 8}).compute, pair.compute);
  const ComputeCosts crowded = AmongWorkers(alone, pair, {6, 2});
  EXPECT_DOUBLE_EQ(crowded.load, 3 * pair.load);
  EXPECT_DOUBLE_EQ(crowded.compute, 3 * pair.compute);
  EXPECT_DOUBLE_EQ(crowded.update, 3 * pair.update);
  EXPECT_EQ(crowded.bucket_ready, pair.bucket_ready);
}

TEST(AmongWorkers, OnADeviceEachTakesWhatTheSecondTook) {
  const ComputeCosts alone = {0, 0.010, 0, {1}};
  EXPECT_DOUBLE_EQ(AmongWorkers(alone, {0, 0.020, 0, {1}}, {4, 1, /*on_device=*/true}).compute,
                   0.040);
  EXPECT_DOUBLE_EQ(AmongWorkers(alone, {0, 0.010, 0, {1}}, {4, 1, /*on_device=*/true}).compute,
                   0.010);
}

TEST(AmongNodes, ShareCoresAloneAndNoShapedCards) {
  RunSpec spec = SpecOf("ring", 8);
  EXPECT_EQ(AmongNodes({30e-6, 1e9, 100}, spec, 8).rate, 1e9);
  EXPECT_EQ(AmongNodes({30e-6, 1e9, 100}, spec, 2).rate, 0.25e9);
  EXPECT_EQ(AmongNodes({30e-6, 1e9, 100}, spec, 2).latency, 30e-6);
  spec.mutable_transport()->mutable_network()->set_megabits_per_second(100);
  EXPECT_EQ(AmongNodes({30e-6, 11e6, 100}, spec, 2).rate, 12.5e6);
  LinkFit slow = {30e-6, 11e6, 100};
  slow.cpu_byte = 1e-6;  // a core handles a megabyte a second
  EXPECT_EQ(AmongNodes(slow, spec, 2).rate, 1e6);
}

}  // namespace
}  // namespace ringmaster
