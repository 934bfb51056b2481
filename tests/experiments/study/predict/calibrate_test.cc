#include "experiments/study/predict/calibrate.h"

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

RunSpec SpecOf(const char* arm, int32_t workers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(10);
  return *Resolve(*MakeArm(arm, base), {});
}

TEST(ReckonedNetwork, EveryProcessHasACardOfTheFit) {
  const NetworkModel model = ReckonedNetwork(SpecOf("ps", 2), {30e-6, 1e9, 100}, 5e9);
  ASSERT_EQ(model.cards.size(), 3u);  // two workers, one server
  ASSERT_EQ(model.links.size(), 9u);
  for (const CardModel& card : model.cards) {
    EXPECT_EQ(card.egress, 1e9);
    EXPECT_EQ(card.ingress, 1e9);
  }
  EXPECT_EQ(model.links[1].latency, 30e-6);
  EXPECT_EQ(model.copy_rate, 5e9);
}

TEST(ReckonedNetwork, NodesAndLinksThatDifferAreTheSpecs) {
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
  const NetworkModel model = ReckonedNetwork(spec, {2.1e-3, 99e6, 100}, 5e9);
  ASSERT_EQ(model.cards.size(), 2u);
  EXPECT_EQ(model.cards[0].egress, 99e6);
  EXPECT_EQ(model.cards[1].egress, 1e6);
  EXPECT_EQ(model.cards[1].ingress, 99e6);
  EXPECT_NEAR(model.links[0 * 2 + 1].latency, 50.1e-3, 1e-9);
  EXPECT_EQ(model.links[0 * 2 + 1].rate, 10e6);
  EXPECT_NEAR(model.links[1 * 2 + 0].latency, 2.1e-3, 1e-9);
}

TEST(ReckonedNetwork, TheMeanOfJitterIsPartOfTheMeasuredLatency) {
  RunSpec spec = SpecOf("ring", 2);
  spec.mutable_transport()->mutable_network()->set_jitter_ms(4);
  const NetworkModel model = ReckonedNetwork(spec, {5e-3, 1e9, 100}, 5e9);
  EXPECT_NEAR(model.links[1].latency, 3e-3, 1e-9);
  EXPECT_NEAR(model.links[1].jitter, 4e-3, 1e-9);
}

}  // namespace
}  // namespace ringmaster
