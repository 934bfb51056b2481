// Workers that push how far they have come, in simulated time: one step at a time it is
// asynchronous descent.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/placement.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/simulate/learning_nodes.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/predict/test_gradients.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int32_t kWorkers = 4;
constexpr int64_t kSteps = 9;
constexpr int64_t kElements = 50;

// A worker's own mean gradient of one weight.
using Gradient = float (*)(float weight, int32_t rank, int64_t step);

float PullToRank(float weight, int32_t rank, int64_t step) {
  return weight - 0.3f * static_cast<float>(rank) + 0.1f * static_cast<float>(step % 2);
}
// On a grid of 1/4, as the weights are on one of 1/1024: all that is computed is exact.
float OnAGrid(float weight, int32_t rank, int64_t step) {
  return std::round(4 * weight) / 4 + 0.25f * static_cast<float>((rank + step) % 3);
}

Floats InitialWeights(bool on_grid) {
  Random random(3);
  Floats weights(kElements);
  for (float& weight : weights) {
    weight = random.Normal();
    if (on_grid) weight = std::round(weight * 8) / 8;
  }
  return weights;
}

// The weights at the end of a run in which the workers take turns: each has the weights with its
// own last update when it begins, and no two push at once.
struct InTurn {
  InTurn(const std::string& arm, int32_t local_steps, float rate, Gradient of, bool on_grid) {
    RunSpec base;
    base.mutable_training()->set_workers(kWorkers);
    base.mutable_training()->set_steps(kSteps);
    base.mutable_training()->set_warmup_steps(0);
    base.mutable_optimizer()->set_learning_rate(rate);
    base.mutable_strategy()->set_work(StrategySpec::DEALT);
    base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
    base.mutable_strategy()->mutable_parameter_server()->set_local_steps(local_steps);
    spec = *Resolve(*MakeArm(arm, base), {});
    const float scale = TraitsOf(spec).divisor == Divisor::kAllBatches ? 1.0f / kWorkers : 1.0f;
    const GradientOfWeights gradient = [of, scale](int32_t rank, int64_t step,
                                                   absl::Span<const float> weights,
                                                   const Bucket& bucket, absl::Span<float> out) {
      for (int64_t i = 0; i < bucket.count; ++i)
        out[i] = scale * of(weights[bucket.begin + i], rank, step);
    };
    TestGradients gradients(layout, gradient, [](int32_t rank, int64_t step) {});
    const LearningRun run{&spec,
                          &layout,
                          &gradients,
                          /*equal=*/nullptr,
                          /*watches_memory=*/true,
                          [](const absl::Status& why) { ADD_FAILURE() << why; }};
    const Floats initial = InitialWeights(on_grid);
    ClusterData data;
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      workers.push_back(*LearningWorker::Create(run, initial, rank));
      data.steps.push_back(workers.back().get());
      data.workers.push_back(workers.back().get());
    }
    for (int32_t index = 0; index < 2; ++index) {
      servers.push_back(*LearningServer::Create(run, initial, index));
      data.servers.push_back(servers.back().get());
      data.parts.push_back(servers.back()->parts());
    }
    const Costs costs = CostsOf();
    const ClusterPlan plan = *PlanCluster(spec, layout.buckets(), costs);
    const auto cluster = *SimulatedCluster::Create(spec, plan, costs, /*drift=*/0, data);
    int32_t running = kWorkers;
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      cluster->thread(rank).Run(
          kSteps, [&, rank] { cluster->exchange(rank).Drain([&running] { --running; }); });
    }
    const absl::Status status = cluster->Run([&] { return running == 0; });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(running, 0);
    weights.assign(workers[0]->weights().begin(), workers[0]->weights().end());
    for (const auto& worker : workers) EXPECT_EQ(worker->weights(), absl::MakeConstSpan(weights));
    messages = cluster->network().messages();
    for (int32_t index = 0; index < 2; ++index) {
      for (size_t part = 0; part < layout.buckets().size(); ++part) {
        EXPECT_EQ(cluster->server(index).core().shard().progress(static_cast<int32_t>(part)),
                  kWorkers * kSteps);
      }
    }
  }

  // A step takes as long as four turns, of which loading, while the pull is on its way, is one
  // half.
  Costs CostsOf() const {
    constexpr double kTurn = 0.01;
    Costs costs;
    const size_t processes = PlaceNodes(spec).size();
    costs.network.plan.egress.assign(processes, 1);
    costs.network.plan.ingress.assign(processes, 1);
    costs.network.plan.everywhere.latency = 1000;
    costs.compute.load = kTurn / 2;
    costs.compute.compute = kWorkers * kTurn - kTurn / 2;
    costs.compute.bucket_ready.assign(layout.buckets().size(), 1);
    costs.delay = [](int32_t rank, int64_t step) { return step == 0 ? rank * kTurn : 0; };
    return costs;
  }

  static ParamLayout LayoutOf() {
    Param param;
    param.name = "weights";
    param.shape = {kElements};
    return ParamLayout({param}, 17);
  }

  const ParamLayout layout = LayoutOf();
  RunSpec spec;
  std::vector<std::unique_ptr<LearningWorker>> workers;
  std::vector<std::unique_ptr<LearningServer>> servers;
  Floats weights;
  int64_t messages = 0;
};

TEST(Geo, OfOneStepInTurnIsAsynchronousDescentInTurnToTheBitOnAGrid) {
  const InTurn geo("geo", 1, 0.125f, OnAGrid, true), async("async", 1, 0.125f, OnAGrid, true);
  EXPECT_EQ(geo.weights, async.weights);
  EXPECT_NE(geo.weights, InitialWeights(true));
  const InTurn further("geo", 3, 0.125f, OnAGrid, true);
  EXPECT_NE(further.weights, async.weights);
}

// A step's update is rounded where it is made, where the distance is taken (exactly, mostly), where
// that is divided and where it is added: each time by half a unit in the last place of a weight or
// less, against one and a half in asynchronous descent. So three units a step of each worker, of
// the largest weight; the gradients pull the difference together.
TEST(Geo, OfOneStepInTurnStaysWithinThreeRoundingsAStepOfAsynchronousDescent) {
  const InTurn geo("geo", 1, 0.07f, PullToRank, false), async("async", 1, 0.07f, PullToRank, false);
  const Floats initial = InitialWeights(false);
  float largest = 1;
  for (const float weight : initial) largest = std::max(largest, std::abs(weight));
  const float bound = 3 * kWorkers * kSteps * largest * 0x1p-23f;
  float difference = 0;
  for (int64_t i = 0; i < kElements; ++i)
    difference = std::max(difference, std::abs(geo.weights[i] - async.weights[i]));
  EXPECT_LE(difference, bound);
  EXPECT_NE(geo.weights, initial);
}

// Two exchanges of four steps each and one of the step that is left, in place of nine.
TEST(Geo, ExchangesEverySoManyStepsAndWhatIsLeftWhenItDrains) {
  const InTurn each("geo", 1, 0.07f, PullToRank, false), fourth("geo", 4, 0.07f, PullToRank, false);
  const int64_t buckets = 3, servers = 2, drain = kWorkers * servers * (1 + buckets + 1);
  const int64_t exchange = kWorkers * servers * (buckets + 1 + buckets + 1);
  EXPECT_EQ(each.messages, 9 * exchange + drain);
  EXPECT_EQ(fourth.messages, 3 * exchange + drain);
}

}  // namespace
}  // namespace ringmaster
