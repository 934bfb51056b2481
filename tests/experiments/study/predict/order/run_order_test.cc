// The best order of a run's ranks, by the cost model, on networks where it is known.
#include "experiments/study/predict/order/run_order.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/network/network_plan.h"
#include "common/params/param_layout.h"
#include "common/scheme/group_order.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/order/order_search.h"
#include "experiments/study/predict/simulate.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

RunSpec SpecOf(const std::string& arm, int32_t workers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(10);
  base.mutable_training()->set_bucket_bytes(64 << 10);
  base.mutable_model()->set_name("mlp");
  base.mutable_model()->add_mlp_hidden(8);
  base.mutable_data()->set_name("synthetic");
  NetworkSpec* const network = base.mutable_transport()->mutable_network();
  network->set_megabits_per_second(1000);
  network->set_latency_ms(0.05);
  return *Resolve(*MakeArm(arm, base), {});
}

// Worker r is in rack group[r]; a message to another one takes so long.
void PutApart(const std::vector<int32_t>& group, double latency_ms, RunSpec* spec) {
  NetworkSpec* const network = spec->mutable_transport()->mutable_network();
  for (size_t from = 0; from < group.size(); ++from) {
    for (size_t to = 0; to < group.size(); ++to) {
      if (group[from] == group[to]) continue;
      LinkSpec* const link = network->add_links();
      link->set_from(absl::StrCat("worker/", from));
      link->set_to(absl::StrCat("worker/", to));
      link->set_megabits_per_second(100);
      link->set_latency_ms(latency_ms);
    }
  }
}

double StepOf(const RunSpec& spec, const ParamLayout& layout) {
  Costs costs;
  costs.compute.bucket_ready.assign(layout.buckets().size(), 0);
  costs.network.plan = *PlanNetwork(*NetworkOf(spec), PlaceNodes(spec));
  return SimulateStep(spec, layout.buckets(), costs)->step;
}

FoundOrder Find(const RunSpec& spec) {
  const ParamLayout layout = *LayoutOf(spec);
  auto search = SearchOf(spec, layout, [&](const RunSpec& ordered) -> absl::StatusOr<double> {
    return StepOf(ordered, layout);
  });
  EXPECT_TRUE(search.ok()) << search.status();
  const absl::StatusOr<FoundOrder> found = FindOrder(*search);
  EXPECT_TRUE(found.ok()) << found.status();
  return *found;
}

// Links of the ring that join racks.
int CrossingsOf(const std::vector<int32_t>& order, const std::vector<int32_t>& group) {
  int crossings = 0;
  for (size_t place = 0; place < order.size(); ++place)
    crossings += group[order[place]] != group[order[(place + 1) % order.size()]] ? 1 : 0;
  return crossings;
}

TEST(BestOrder, OfRacksWhoseRanksAreInterleavedHasThoseOfARackTogether) {
  const std::vector<int32_t> racks = {0, 1, 0, 1, 0, 1};
  for (const char* arm : {"ring", "sharded-optimizer"}) {
    RunSpec spec = SpecOf(arm, 6);
    PutApart(racks, 5, &spec);
    const FoundOrder found = Find(spec);
    EXPECT_TRUE(found.is_best);
    EXPECT_EQ(CrossingsOf(found.order, racks), 2) << OrderFlag(found.order);
    EXPECT_LT(found.cost.step, 0.8 * found.start_cost.step) << arm;
    EXPECT_LE(found.looked_at, 120) << "all others begin elsewhere";
  }
}

TEST(BestOrder, IsThatOfAllOrdersOfFourRanksWhateverTheSchedule) {
  const auto sums_gradients = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && TakesGroupOrder(arm.traits) && arm.codec.exact &&
           arm.traits.exchange_every == 1;
  };
  const std::vector<std::string> arms = ArmsThat(sums_gradients);
  EXPECT_GE(arms.size(), 10u);
  for (const std::string& arm : arms) {
    RunSpec spec = SpecOf(arm, 4);
    // Every link is its own, and not the same both ways.
    NetworkSpec* const network = spec.mutable_transport()->mutable_network();
    for (int32_t from = 0; from < 4; ++from) {
      for (int32_t to = 0; to < 4; ++to) {
        if (from == to) continue;
        LinkSpec* const link = network->add_links();
        link->set_from(absl::StrCat("worker/", from));
        link->set_to(absl::StrCat("worker/", to));
        link->set_megabits_per_second(1000);
        link->set_latency_ms(1 + (from * 7 + to * 5) % 11);
      }
    }
    const ParamLayout layout = *LayoutOf(spec);
    std::vector<int32_t> order = {0, 1, 2, 3};
    double best = StepOf(InOrder(spec, order), layout);
    while (std::next_permutation(order.begin(), order.end()))
      best = std::min(best, StepOf(InOrder(spec, order), layout));
    const FoundOrder found = Find(spec);
    EXPECT_TRUE(found.is_best) << arm;
    EXPECT_NEAR(found.cost.step, best, 1e-5 * best) << arm;
    EXPECT_LE(found.cost.step, found.start_cost.step) << arm;
  }
}

TEST(BestOrder, OfTwelveRanksInFourScatteredRacksVisitsEachRackOnce) {
  const std::vector<int32_t> racks = {0, 1, 2, 3, 2, 0, 3, 1, 1, 2, 0, 3};
  RunSpec spec = SpecOf("ring", 12);
  PutApart(racks, 5, &spec);
  const FoundOrder found = Find(spec);
  EXPECT_FALSE(found.is_best);
  EXPECT_EQ(CrossingsOf(found.order, racks), 4) << OrderFlag(found.order);
}

TEST(BestOrder, OfANetworkThatIsTheSameForAllIsLookedForNowhere) {
  EXPECT_EQ(Find(SpecOf("ring", 12)).looked_at, 1);
  RunSpec direct = SpecOf("direct", 12);
  PutApart({0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, 5, &direct);
  EXPECT_EQ(Find(direct).looked_at, 1) << "everybody sends to everybody";
}

TEST(BestOrder, IsSaidAsAFlagOfTheProgram) {
  EXPECT_EQ(OrderFlag({0, 2, 1}), "--set strategy.group_order=0,2,1");
}

TEST(MessageSeconds, AreThoseOfEachMessageAlone) {
  RunSpec spec = SpecOf("ring", 3);
  const ParamLayout layout = *LayoutOf(spec);
  const auto plan = *PlanNetwork(*NetworkOf(spec), PlaceNodes(spec));
  const double bytes = 4.0 * static_cast<double>(layout.count());
  const double buckets = static_cast<double>(layout.buckets().size());
  // Of each bucket 2(N-1) messages of a rank, and as many N-ths of it.
  EXPECT_NEAR(*MessageSeconds(spec, layout, plan), buckets * 12 * 50e-6 + 4 * bytes / 125e6, 1e-7);
}

}  // namespace
}  // namespace ringmaster
