// Workers that update their own weights and exchange them: the real strategies on threads, against
// what their papers say, computed here in double precision.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/collective/gossip.h"
#include "gtest/gtest.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kCount = 305;
constexpr int64_t kBucketElements = 101;  // buckets of 101, 101, 101 and 2

RunSpec LocalSgd(int32_t workers, float rate, int32_t local_steps) {
  RunSpec spec = GroupSpec(workers, rate);
  spec.mutable_strategy()->mutable_local_sgd()->set_local_steps(local_steps);
  return spec;
}

RunSpec Ring(int32_t workers, float rate) {
  RunSpec spec = GroupSpec(workers, rate);
  spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
  return spec;
}

RunSpec Gossip(int32_t workers, float rate, GossipSpec::Graph graph) {
  RunSpec spec = GroupSpec(workers, rate);
  spec.mutable_strategy()->mutable_gossip()->set_graph(graph);
  return spec;
}

RunSpec Elastic(int32_t workers, float rate, double alpha, int32_t period) {
  RunSpec spec = GroupSpec(workers, rate);
  ElasticSpec* elastic = spec.mutable_strategy()->mutable_elastic();
  elastic->set_alpha(alpha);
  elastic->set_period(period);
  return spec;
}

// The gradient of a worker's loss at its own weights.
using GradientAt =
    std::function<void(int32_t rank, int64_t step, absl::Span<const float> w, absl::Span<float> g)>;

struct Outcome {
  std::vector<Floats> models;    // by worker, after Drain
  std::vector<Floats> replicas;  // by worker
  std::vector<double> distances;
};

// Runs `steps` steps on all workers, and a drain.
Outcome Train(const RunSpec& spec, const Floats& initial, int64_t steps, const GradientAt& at) {
  StrategyGroup group(spec, initial, kBucketElements);
  Outcome outcome;
  outcome.models.resize(group.workers());
  outcome.replicas.resize(group.workers());
  outcome.distances.resize(group.workers());
  const GradientSource source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                                    absl::Span<float> out) {
    at(rank, step, group.worker(rank).front().subspan(bucket.begin, bucket.count), out);
  };
  const absl::Status status = group.OnWorkers([&](GroupWorker& worker) {
    absl::Status done = worker.Steps(0, steps, source);
    if (done.ok()) done = worker.strategy().Drain();
    if (!done.ok()) return done;
    const absl::Span<const float> model = worker.strategy().ModelWeights().host();
    outcome.models[worker.rank()].assign(model.begin(), model.end());
    outcome.replicas[worker.rank()].assign(worker.front().begin(), worker.front().end());
    const ExchangeReport report = worker.strategy().Finish();
    outcome.distances[worker.rank()] = report.consensus_distance.value_or(-1);
    return report.status;
  });
  EXPECT_TRUE(status.ok()) << status;
  return outcome;
}

// Multiples of 2^-6 up to 1 that depend on everything: with a rate of 1/4 and N of 2 or 4 every
// operation of ten steps is exact.
void GridGradient(int32_t rank, int64_t step, absl::Span<const float> w, absl::Span<float> g) {
  Random random(MixSeed(MixSeed(MixSeed(11, rank), step), g.size()));
  for (float& value : g) value = (static_cast<float>(random.Below(127)) - 63.0f) * 0x1p-6f;
}

// Some multiples of 2^-4.
Floats GridWeights() {
  Floats weights(kCount);
  for (int64_t i = 0; i < kCount; ++i) weights[i] = static_cast<float>(i % 33 - 16) * 0x1p-4f;
  return weights;
}

// A bowl of the worker's own, as wide as its rank says.
void BowlGradient(int32_t rank, int64_t step, absl::Span<const float> w, absl::Span<float> g) {
  for (size_t i = 0; i < g.size(); ++i)
    g[i] = static_cast<float>(1 + rank) * (w[i] - 0.1f * static_cast<float>(rank));
}

// Gradients of a worker: of workers that divide by N before the sum, and of workers alone.
GradientAt DividedBy(float workers, const GradientAt& at) {
  return [=](int32_t rank, int64_t step, absl::Span<const float> w, absl::Span<float> g) {
    at(rank, step, w, g);
    for (float& value : g) value /= workers;
  };
}

TEST(LocalSgd, WithAnAverageAfterEachStepIsTheRingToTheBitOnAGrid) {
  for (const int32_t workers : {1, 2, 4}) {
    const Outcome ring = Train(Ring(workers, 0.25f), GridWeights(), 10,
                               DividedBy(static_cast<float>(workers), GridGradient));
    const Outcome local = Train(LocalSgd(workers, 0.25f, 1), GridWeights(), 10, GridGradient);
    EXPECT_EQ(local.models, ring.models) << workers;
    EXPECT_EQ(local.replicas, ring.replicas) << workers;
    const Outcome rarely = Train(LocalSgd(workers, 0.25f, 5), GridWeights(), 10, BowlGradient);
    EXPECT_EQ(rarely.replicas == ring.replicas, false) << workers;
  }
}

// Of gradients that do not depend on the weights. A step of either rounds a product, a difference
// and a sum of N with its division, each to u = 2^-24 of numbers below |w| + r N |g|: 2 N u of that
// a step is more than both together.
TEST(LocalSgd, WithAnAverageAfterEachStepIsTheRingWithinRounding) {
  const auto gradient = [](int32_t rank, int64_t step, absl::Span<const float>,
                           absl::Span<float> g) {
    Random random(MixSeed(MixSeed(MixSeed(12, rank), step), g.size()));
    for (float& value : g) value = random.Normal();
  };
  constexpr int32_t kWorkers = 3;
  constexpr int64_t kSteps = 20;
  constexpr float kRate = 0.01f;
  const Outcome ring =
      Train(Ring(kWorkers, kRate), Floats(kCount, 1.0f), kSteps, DividedBy(kWorkers, gradient));
  const Outcome local = Train(LocalSgd(kWorkers, kRate, 1), Floats(kCount, 1.0f), kSteps, gradient);
  const double largest_weight = 1 + kSteps * kRate * 6, largest_gradient = 6;
  const double bound =
      kSteps * 2 * kWorkers * 0x1p-24 * (largest_weight + kRate * kWorkers * largest_gradient);
  double largest = 0;
  for (int64_t i = 0; i < kCount; ++i)
    largest = std::max(largest, std::fabs(double{local.models[0][i]} - ring.models[0][i]));
  EXPECT_LE(largest, bound);
  EXPECT_GT(largest, 0);
}

// Two workers with losses of curvature 1 and 3 around 0 and 1: how far they go alone decides where
// the averages end. (1 - 0.7^H) / (2 - 0.9^H - 0.7^H) for the rate 0.1.
TEST(LocalSgd, EndsWhereTheTheorySays) {
  const auto gradient = [](int32_t rank, int64_t, absl::Span<const float> w, absl::Span<float> g) {
    for (size_t i = 0; i < g.size(); ++i) g[i] = rank == 0 ? w[i] : 3 * (w[i] - 1);
  };
  const struct {
    int32_t local_steps;
    double fixed_point;
  } kRows[] = {{1, 0.75}, {10, 0.5987}, {100, 0.5000}};
  for (const auto& row : kRows) {
    RunSpec spec = LocalSgd(2, 0.1f, row.local_steps);
    const Outcome end = Train(spec, {0.3f}, 40 * row.local_steps, gradient);
    EXPECT_NEAR(end.models[0][0], row.fixed_point, 6e-5) << row.local_steps;
    EXPECT_EQ(end.models[0], end.models[1]);
  }
}

TEST(LocalSgd, AveragesGradientsInTheFirstSteps) {
  RunSpec spec = LocalSgd(4, 0.25f, 3);
  spec.mutable_strategy()->mutable_local_sgd()->set_synchronous_steps(6);
  const Outcome local = Train(spec, GridWeights(), 6, GridGradient);
  const Outcome ring = Train(Ring(4, 0.25f), GridWeights(), 6, DividedBy(4, GridGradient));
  EXPECT_EQ(local.replicas, ring.replicas);
  // From there on they are alone for three steps.
  StrategyGroup group(spec, GridWeights(), kBucketElements);
  const GradientSource source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                                    absl::Span<float> out) {
    GridGradient(rank, step, group.worker(rank).front(), out);
  };
  for (int64_t step = 0; step < 12; ++step) {
    ASSERT_TRUE(
        group.OnWorkers([&](GroupWorker& worker) { return worker.Step(step, source); }).ok());
    const bool equal = step < 6 || (step - 5) % 3 == 0;
    const Floats first(group.worker(0).front().begin(), group.worker(0).front().end());
    const Floats last(group.worker(3).front().begin(), group.worker(3).front().end());
    EXPECT_EQ(first == last, equal) << step;
  }
}

TEST(LocalSgd, ADrainAveragesWhatIsLeft) {
  const Outcome end = Train(LocalSgd(3, 0.1f, 4), Floats(kCount, 1.0f), 6, BowlGradient);
  // w - 0.1 r becomes (1 - 0.1 (1 + r)) of itself in each step.
  double w[3] = {1, 1, 1};
  for (int step = 0; step < 6; ++step) {
    for (int r = 0; r < 3; ++r) w[r] -= 0.1 * (1 + r) * (w[r] - 0.1 * r);
    if (step == 3 || step == 5) w[0] = w[1] = w[2] = (w[0] + w[1] + w[2]) / 3;
  }
  for (int32_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(end.replicas[rank], end.replicas[0]);
    EXPECT_NEAR(end.models[rank][7], w[0], 1e-6);
  }
}

// DiLoCo, algorithm 1, in double precision.
TEST(LocalSgd, AnOuterOptimizerUpdatesTheLastAverageByTheWayToTheNext) {
  constexpr int32_t kWorkers = 3, kLocalSteps = 4;
  for (const std::string outer : {"sgd", "nesterov"}) {
    RunSpec spec = LocalSgd(kWorkers, 0.1f, kLocalSteps);
    spec.mutable_strategy()->mutable_local_sgd()->set_outer_optimizer(outer);
    const Outcome end = Train(spec, Floats(kCount, 1.0f), 5 * kLocalSteps, BowlGradient);
    double theta = 1, velocity = 0;
    const double rate = outer == "sgd" ? 1 : 0.7, momentum = 0.9;
    for (int round = 0; round < 5; ++round) {
      double average = 0;
      for (int r = 0; r < kWorkers; ++r) {
        double w = theta;
        for (int step = 0; step < kLocalSteps; ++step) w -= 0.1 * (1 + r) * (w - 0.1 * r);
        average += w / kWorkers;
      }
      const double way = theta - average;
      velocity = momentum * velocity + way;
      theta -= rate * (outer == "sgd" ? way : way + momentum * velocity);
    }
    EXPECT_NEAR(end.models[0][0], theta, 2e-6) << outer;
    for (int32_t rank = 1; rank < kWorkers; ++rank) EXPECT_EQ(end.models[rank], end.models[0]);
  }
}

// x <- W x - rate * gradient(x), with W the round's mixing matrix (Lian et al. 2017, algorithm 1).
std::vector<double> PlayGossip(GossipGraph graph, int32_t n, int64_t steps, double rate) {
  std::vector<double> x(n, 1.0);
  for (int64_t step = 0; step < steps; ++step) {
    const auto round = static_cast<int32_t>(step % GossipRounds(graph, n));
    const std::vector<double> w = MixingMatrix(graph, n, round);
    std::vector<double> next(n);
    for (int32_t i = 0; i < n; ++i) {
      for (int32_t j = 0; j < n; ++j) next[i] += w[i * n + j] * x[j];
      next[i] -= rate * (1 + i) * (x[i] - 0.1 * i);
    }
    x = next;
  }
  return x;
}

TEST(Gossip, AveragesThenAppliesTheGradientAtTheWeightsBefore) {
  const struct {
    GossipSpec::Graph spec;
    GossipGraph graph;
  } kGraphs[] = {{GossipSpec::RING, GossipGraph::kRing},
                 {GossipSpec::ONE_PEER_EXPONENTIAL, GossipGraph::kOnePeerExponential}};
  for (const auto& graph : kGraphs) {
    for (const int32_t workers : {1, 2, 3, 4, 5}) {
      SCOPED_TRACE(absl::StrCat(GossipSpec::Graph_Name(graph.spec), " N=", workers));
      constexpr int64_t kSteps = 9;
      const Outcome end =
          Train(Gossip(workers, 0.05f, graph.spec), Floats(kCount, 1.0f), kSteps, BowlGradient);
      const std::vector<double> x = PlayGossip(graph.graph, workers, kSteps, 0.05);
      double mean = 0;
      for (const double value : x) mean += value / workers;
      for (int32_t rank = 0; rank < workers; ++rank) {
        EXPECT_NEAR(end.replicas[rank][3], x[rank], 2e-6);
        EXPECT_NEAR(end.models[rank][3], mean, 2e-6);
        EXPECT_EQ(end.models[rank], end.models[0]);
        EXPECT_NEAR(end.distances[rank], std::fabs(x[rank] - mean) / std::fabs(mean), 1e-5);
      }
    }
  }
}

// After one step in which they part, and none later: exact on the grid.
TEST(Gossip, OnePeerIsOfOneMindAfterACycleOnlyWhereThereAreAPowerOfTwoWorkers) {
  const auto once = [](int32_t rank, int64_t step, absl::Span<const float>, absl::Span<float> g) {
    for (float& value : g) value = step == 0 ? static_cast<float>(rank) : 0;
  };
  for (const int32_t workers : {2, 3, 4, 6, 8}) {
    const int32_t rounds = GossipRounds(GossipGraph::kOnePeerExponential, workers);
    // The first step's exchange was of equal weights, so a whole cycle from the second on.
    const Outcome end = Train(Gossip(workers, 1.0f, GossipSpec::ONE_PEER_EXPONENTIAL),
                              Floats(kCount, 0.0f), 1 + rounds, once);
    bool equal = true;
    for (int32_t rank = 1; rank < workers; ++rank)
      equal = equal && end.replicas[rank] == end.replicas[0];
    const bool is_power = (workers & (workers - 1)) == 0;
    EXPECT_EQ(equal, is_power) << workers;
    const double farthest = *std::max_element(end.distances.begin(), end.distances.end());
    EXPECT_EQ(farthest == 0, is_power) << workers;
  }
}

// Equations 5 and 6 of Zhang et al. 2015.
TEST(Elastic, WorkersAndCenterAttractEachOtherAsInThePaper) {
  for (const int32_t workers : {1, 2, 3}) {
    for (const int32_t period : {1, 3}) {
      const double alpha = 0.6 / workers;
      constexpr int64_t kSteps = 13;
      const Outcome end =
          Train(Elastic(workers, 0.05f, alpha, period), Floats(kCount, 1.0f), kSteps, BowlGradient);
      std::vector<double> x(workers, 1.0);
      double center = 1;
      for (int64_t step = 0; step < kSteps; ++step) {
        const bool exchanges = (step + 1) % period == 0;
        double pull = 0;
        const double old_center = center;
        for (int32_t i = 0; i < workers; ++i) {
          const double gradient = (1 + i) * (x[i] - 0.1 * i), away = x[i] - old_center;
          pull += away;
          x[i] -= 0.05 * gradient + (exchanges ? alpha * away : 0);
        }
        if (exchanges) center += alpha * pull;
      }
      for (int32_t rank = 0; rank < workers; ++rank) {
        EXPECT_NEAR(end.models[rank][5], center, 2e-6) << workers << " " << period;
        EXPECT_NEAR(end.replicas[rank][5], x[rank], 2e-6) << workers << " " << period;
        EXPECT_EQ(end.models[rank], end.models[0]);
        EXPECT_NEAR(end.distances[rank], std::fabs(x[rank] - center) / std::fabs(center), 1e-5);
      }
    }
  }
}

// Weights that are equal and stand still do not drift, however often they are averaged: a third of
// a rounded sum of three is the next float at most, whose own average is itself. Products with a
// rounded 1/3 would go on.
TEST(WeightExchange, OfEqualWeightsDoesNotLetThemDrift) {
  const auto none = [](int32_t, int64_t, absl::Span<const float>, absl::Span<float> g) {
    for (float& value : g) value = 0;
  };
  Floats weights(kCount);
  for (int64_t i = 0; i < kCount; ++i) weights[i] = std::sin(static_cast<float>(i + 1));
  const RunSpec kSpecs[] = {LocalSgd(3, 0.1f, 1), Gossip(3, 0.1f, GossipSpec::RING),
                            Gossip(3, 0.1f, GossipSpec::ONE_PEER_EXPONENTIAL),
                            Elastic(3, 0.1f, 0.3, 1)};
  for (const RunSpec& spec : kSpecs) {
    const Outcome end = Train(spec, weights, 50, none);
    for (int64_t i = 0; i < kCount; ++i) {
      const float unit = std::nextafter(std::fabs(weights[i]), 2.0f) - std::fabs(weights[i]);
      EXPECT_NEAR(end.replicas[2][i], weights[i], unit) << spec.strategy().ShortDebugString();
      EXPECT_NEAR(end.models[1][i], weights[i], unit) << spec.strategy().ShortDebugString();
    }
  }
}

// What the outer optimizer knows is state, which another setting does not take.
TEST(LocalSgd, ItsStateIsThatOfTheOuterOptimizer) {
  RunSpec spec = LocalSgd(2, 0.05f, 2);
  spec.mutable_optimizer()->set_name("momentum");
  spec.mutable_strategy()->mutable_local_sgd()->set_outer_optimizer("nesterov");
  const Floats initial(kCount, 1.0f);
  StrategyGroup whole(spec, initial, kBucketElements);
  const auto source_of = [](StrategyGroup& group) -> GradientSource {
    return [&group](int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
      BowlGradient(rank, step, group.worker(rank).front().subspan(bucket.begin, bucket.count), out);
    };
  };
  std::vector<State> states(2);
  ASSERT_TRUE(whole
                  .OnWorkers([&](GroupWorker& worker) {
                    const absl::Status done = worker.Steps(0, 4, source_of(whole));
                    if (!done.ok()) return done;
                    const absl::Status drained = worker.strategy().Drain();
                    states[worker.rank()] = worker.strategy().Give();
                    return drained.ok() ? worker.Steps(4, 8, source_of(whole)) : drained;
                  })
                  .ok());
  EXPECT_EQ(states[0].entries().size(), states[1].entries().size());
  EXPECT_GE(states[0].entries().size(), 3u);
  StrategyGroup other(LocalSgd(2, 0.05f, 2), initial, kBucketElements);
  EXPECT_FALSE(other.worker(0).strategy().Take(states[0]).ok());
  StrategyGroup again(spec, initial, kBucketElements);
  EXPECT_TRUE(again.worker(0).strategy().Take(states[0]).ok());
  EXPECT_TRUE(again.worker(0).strategy().Give().entries().size() == states[0].entries().size());
}

}  // namespace
}  // namespace ringmaster
