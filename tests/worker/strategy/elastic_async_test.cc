// Elastic averaging with the center on servers: the real strategies and servers on threads, against
// the formulas of the paper (Zhang, Choromanska, LeCun 2015, algorithm 1), played in double
// precision in the order in which the servers were reached.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/exchange/parts.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr int64_t kCount = 305;
constexpr int64_t kBucketElements = 101;

// The gradient of one element, [worker, step, element, its weight].
using Slope = std::function<double(int32_t rank, int64_t step, int64_t element, double weight)>;

struct Setting {
  int32_t workers = 1;
  int32_t servers = 1;
  int32_t period = 1;
  int64_t steps = 0;
  float rate = 0;
  double alpha = 0;

  std::string name() const {
    return absl::StrCat("N=", workers, " K=", servers, " period=", period, " alpha=", alpha);
  }
};

RunSpec SpecOf(const Setting& setting) {
  RunSpec spec = GroupSpec(setting.workers, setting.rate);
  spec.mutable_strategy()->set_work(StrategySpec::DEALT);
  ElasticSpec* elastic = spec.mutable_strategy()->mutable_elastic();
  elastic->set_mode(ElasticSpec::ASYNCHRONOUS);
  elastic->set_alpha(setting.alpha);
  elastic->set_period(setting.period);
  elastic->set_servers(setting.servers);
  return spec;
}

Floats InitialWeights() {
  Floats weights(kCount);
  for (int64_t i = 0; i < kCount; ++i) weights[i] = static_cast<float>(i % 33 - 16) * 0x1p-4f;
  return weights;
}

struct Outcome {
  std::vector<Floats> centers;   // by rank: the model
  std::vector<Floats> replicas;  // by rank: its own weights
  Doubles distances;
  std::vector<std::vector<int32_t>> arrivals;  // by server
};

Outcome Train(const Setting& setting, const Slope& slope) {
  StrategyGroup group(SpecOf(setting), InitialWeights(), kBucketElements);
  Outcome outcome;
  outcome.centers.resize(setting.workers);
  outcome.replicas.resize(setting.workers);
  outcome.distances.resize(setting.workers);
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    const int32_t rank = worker.rank();
    const GradientSource source = [&](int32_t, int64_t step, const Bucket& bucket,
                                      absl::Span<float> out) {
      for (int64_t i = 0; i < bucket.count; ++i) {
        const int64_t element = bucket.begin + i;
        out[i] = static_cast<float>(slope(rank, step, element, worker.front()[element]));
      }
    };
    absl::Status done = worker.Steps(0, setting.steps, source);
    if (done.ok()) done = worker.strategy().Drain();
    const absl::Span<const float> center = worker.strategy().ModelWeights().host();
    outcome.centers[rank].assign(center.begin(), center.end());
    outcome.replicas[rank].assign(worker.front().begin(), worker.front().end());
    return done;
  });
  EXPECT_TRUE(status.ok()) << setting.name() << ": " << status;
  for (int32_t rank = 0; rank < setting.workers; ++rank)
    outcome.distances[rank] = group.consensus_distances()[rank].value_or(-1);
  for (int32_t index = 0; index < setting.servers; ++index) {
    const ServerReport report = group.server(index).Report();
    outcome.arrivals.emplace_back(report.arrivals().begin(), report.arrivals().end());
  }
  return outcome;
}

// What the two ends of an exchange may get wrong.
enum class Twin { kRight, kSign, kWorkerAlone, kCenterAlone, kNewCenter };

// Both ends of one exchange: x -= alpha (x - c) and c += alpha (x - c), of what they were before.
void Exchange(Twin twin, double alpha, double* x, double* c) {
  const double away = *x - *c;
  const double sign = twin == Twin::kSign ? -1 : 1;
  if (twin != Twin::kWorkerAlone) *c += sign * alpha * away;
  if (twin == Twin::kCenterAlone) return;
  *x -= sign * alpha * (twin == Twin::kNewCenter ? *x - *c : away);
}

struct Played {
  Doubles center;
  std::vector<Doubles> replicas;
};

// Algorithm 1, element by element, each by the order of arrivals at its own server and bucket.
Played Play(const Setting& setting, const Slope& slope,
            const std::vector<std::vector<int32_t>>& arrivals, Twin twin) {
  const ParamLayout layout = GroupLayout(SpecOf(setting), kCount, kBucketElements);
  const Floats initial = InitialWeights();
  Played played;
  played.center.assign(initial.begin(), initial.end());
  played.replicas.assign(setting.workers, played.center);
  const auto buckets = static_cast<int32_t>(layout.buckets().size());
  for (int32_t server = 0; server < setting.servers; ++server) {
    const std::vector<Range> parts = ShardParts(layout, setting.servers, server);
    std::vector<int64_t> steps(setting.workers * buckets);
    for (const int32_t event : arrivals[server]) {
      if (event < 0) continue;  // a drain
      const int32_t rank = event / buckets, bucket = event % buckets;
      int64_t& step = steps[event];
      const int64_t end = std::min(step + setting.period, setting.steps);
      for (int64_t i = parts[bucket].begin; i < parts[bucket].end(); ++i) {
        double& x = played.replicas[rank][i];
        for (int64_t s = step; s < end; ++s) x -= double{setting.rate} * slope(rank, s, i, x);
        Exchange(twin, setting.alpha, &x, &played.center[i]);
      }
      step = end;
    }
    for (const int64_t step : steps) EXPECT_EQ(step, setting.steps);
  }
  return played;
}

double Largest(absl::Span<const float> floats, absl::Span<const double> doubles) {
  double largest = 0;
  for (size_t i = 0; i < floats.size(); ++i)
    largest = std::max(largest, std::fabs(floats[i] - doubles[i]));
  return largest;
}

// A bowl of the worker's own, as wide as its rank says.
double Bowl(int32_t rank, int64_t, int64_t, double weight) {
  return (1 + rank) * (weight - 0.5 * rank);
}

// Multiples of 2^-6 up to 1.
double Grid(int32_t rank, int64_t step, int64_t element, double) {
  Random random(MixSeed(MixSeed(rank, step), element));
  return (static_cast<double>(random.Below(127)) - 63) * 0x1p-6;
}

// With a rate of 1/4 and alpha 1/2 or 3/4, whose alpha / (1 - alpha) are whole numbers, every
// operation on the grid is exact: two bits more in each exchange at most.
TEST(ElasticAsynchronous, AloneAWorkerAndItsCenterAreTheHandComputationToTheBitOnAGrid) {
  for (const double alpha : {0.5, 0.75}) {
    for (const int32_t servers : {1, 2}) {
      const Setting setting = {1, servers, 3, 8, 0.25f, alpha};
      SCOPED_TRACE(setting.name());
      const Outcome end = Train(setting, Grid);
      for (int64_t i = 0; i < kCount; ++i) {
        double x = InitialWeights()[i], c = x;
        for (int64_t step = 0; step < 8; ++step) {
          x -= 0.25 * Grid(0, step, i, 0);
          // After three, six, and the two that are left.
          if (step != 2 && step != 5 && step != 7) continue;
          const double away = x - c;
          x -= alpha * away;
          c += alpha * away;
        }
        ASSERT_EQ(end.replicas[0][i], x) << i;
        ASSERT_EQ(end.centers[0][i], c) << i;
      }
    }
  }
}

TEST(ElasticAsynchronous, WorkersAndCenterAttractEachOtherAsInThePaperInTheOrderOfArrivals) {
  for (const Setting& setting : {Setting{3, 2, 1, 13, 0.05f, 0.2}, Setting{3, 1, 4, 13, 0.05f, 0.3},
                                 Setting{2, 3, 2, 9, 0.1f, 0.45}, Setting{4, 1, 3, 7, 0.1f, 0.9}}) {
    SCOPED_TRACE(setting.name());
    const Outcome end = Train(setting, Bowl);
    const Played right = Play(setting, Bowl, end.arrivals, Twin::kRight);
    // Of an exchange a worker's move back rounds to a few units in the last place of a weight of up
    // to 2, times alpha / (1 - alpha), which is 9 at most here; a step rounds less.
    const double bound = static_cast<double>(setting.steps) * 4 * 10 * 0x1p-23;
    for (int32_t rank = 0; rank < setting.workers; ++rank) {
      EXPECT_EQ(end.centers[rank], end.centers[0]);
      EXPECT_LE(Largest(end.centers[rank], right.center), bound);
      EXPECT_LE(Largest(end.replicas[rank], right.replicas[rank]), bound);
      double squares = 0, norm = 0;
      for (int64_t i = 0; i < kCount; ++i) {
        squares += std::pow(right.replicas[rank][i] - right.center[i], 2);
        norm += std::pow(right.center[i], 2);
      }
      EXPECT_NEAR(end.distances[rank], std::sqrt(squares / norm), 1e-4);
    }
    for (const Twin twin :
         {Twin::kSign, Twin::kWorkerAlone, Twin::kCenterAlone, Twin::kNewCenter}) {
      const Played wrong = Play(setting, Bowl, end.arrivals, twin);
      double largest = Largest(end.centers[0], wrong.center);
      for (int32_t rank = 0; rank < setting.workers; ++rank)
        largest = std::max(largest, Largest(end.replicas[rank], wrong.replicas[rank]));
      EXPECT_GT(largest, 100 * bound) << static_cast<int>(twin);
    }
  }
}

// What a worker gives the center gains: without gradients nothing is lost.
TEST(ElasticAsynchronous, AnExchangeMovesWhatItTakes) {
  const Setting setting = {3, 2, 1, 6, 0.25f, 0.5};
  const auto once = [](int32_t rank, int64_t step, int64_t, double) {
    return step == 0 ? 4.0 * rank : 0.0;
  };
  const Outcome end = Train(setting, once);
  const Floats initial = InitialWeights();
  for (int64_t i = 0; i < kCount; ++i) {
    double sum = end.centers[0][i];
    for (const Floats& replica : end.replicas) sum += replica[i];
    // The first step has taken 0, 1 and 2 from the three.
    ASSERT_EQ(sum, 4.0 * initial[i] - 3) << i;
  }
}

// A worker that goes on from a state knows the center before its first step.
TEST(ElasticAsynchronous, ItsStateHasTheCenter) {
  const Setting setting = {2, 1, 2, 4, 0.1f, 0.4};
  std::vector<State> states(setting.workers);
  std::vector<Floats> centers(setting.workers);
  StrategyGroup first(SpecOf(setting), InitialWeights(), kBucketElements);
  const absl::Status status = first.Run([&](GroupWorker& worker) {
    const GradientSource source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                                      absl::Span<float> out) {
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<float>(Bowl(rank, step, 0, worker.front()[bucket.begin + i]));
    };
    absl::Status done = worker.Steps(0, setting.steps, source);
    if (done.ok()) done = worker.strategy().Drain();
    states[worker.rank()] = worker.strategy().Give();
    const absl::Span<const float> center = worker.strategy().ModelWeights().host();
    centers[worker.rank()].assign(center.begin(), center.end());
    return done;
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(centers[0], InitialWeights());
  StrategyGroup second(SpecOf(setting), InitialWeights(), kBucketElements);
  for (int32_t rank = 0; rank < setting.workers; ++rank) {
    SyncStrategy& strategy = second.worker(rank).strategy();
    EXPECT_EQ(Floats(strategy.ModelWeights().host().begin(), strategy.ModelWeights().host().end()),
              InitialWeights());
    const int64_t version = strategy.ModelWeights().version;
    ASSERT_TRUE(strategy.Take(states[rank]).ok());
    EXPECT_EQ(Floats(strategy.ModelWeights().host().begin(), strategy.ModelWeights().host().end()),
              centers[rank]);
    EXPECT_NE(strategy.ModelWeights().version, version);
  }
}

}  // namespace
}  // namespace ringmaster
