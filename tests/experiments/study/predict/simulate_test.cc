#include "common/scheme/registry.h"
#include "experiments/study/predict/simulate.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

constexpr double kRate = 1e8;      // B: bytes a second, each way
constexpr double kLatency = 1e-3;  // a: seconds a message
// A message leaves at a whole nanosecond, and some wait for others.
constexpr double kRounding = 1e-7;

RunSpec SpecOf(const std::string& arm, int32_t workers, int32_t servers = 1) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(1000);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(servers);
  return *Resolve(*MakeArm(arm, base), {});
}

// `count` buckets that hold `elements` together; both divide.
std::vector<Bucket> BucketsOf(int64_t elements, int32_t count) {
  std::vector<Bucket> buckets;
  for (int32_t i = 0; i < count; ++i)
    buckets.push_back({i, i * (elements / count), elements / count});
  return buckets;
}

// Buckets that are summed in rounds are summed in two, of 100 and 50 elements.
Costs CostsOf(const RunSpec& spec, size_t buckets, double rate = kRate, double latency = kLatency) {
  Costs costs;
  if (CodecTraitsOf(spec.codec())->in_rounds) costs.codec.rounds.assign(buckets, {100, 50});
  costs.compute.bucket_ready.assign(buckets, 0);
  const auto processes = static_cast<size_t>(TraitsOf(spec).processes);
  NetworkPlan& plan = costs.network.plan;
  plan.egress.assign(processes, rate * 1e-9);
  plan.ingress = plan.egress;
  plan.everywhere.latency = std::llround(latency * 1e9);
  return costs;
}

double CommunicationOf(const RunSpec& spec, int64_t elements, int32_t bucket_count) {
  const std::vector<Bucket> buckets = BucketsOf(elements, bucket_count);
  const auto step = SimulateStep(spec, buckets, CostsOf(spec, buckets.size()));
  EXPECT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->compute, 0, kRounding);
  return step->communication;
}

// Divisible by 2 to 8, and a chunk of it is smaller than a piece, so that no round overlaps
// another.
constexpr int64_t kElements = 840 * 128;
constexpr double kBytes = kElements * 4.0;  // M

TEST(SimulateStep, RingTakesItsFormula) {
  for (int32_t n = 2; n <= 8; ++n) {
    EXPECT_NEAR(CommunicationOf(SpecOf("ring", n), kElements, 1),
                2.0 * (n - 1) / n * kBytes / kRate + 2 * (n - 1) * kLatency, kRounding)
        << "N=" << n;
  }
}

TEST(SimulateStep, HalvingDoublingTakesItsFormula) {
  for (const int32_t n : {2, 4, 8}) {
    EXPECT_NEAR(CommunicationOf(SpecOf("halving-doubling", n), kElements, 1),
                2.0 * std::log2(n) * kLatency + 2.0 * (n - 1) / n * kBytes / kRate, kRounding)
        << "N=" << n;
  }
}

// Up the tree the formula's lg N (a + M/B). Down again the root's messages to its lg N children
// share its card, as do those of each child to its own: lg N (lg N + 1) / 2 times M/B, where one
// after the other would take lg N.
TEST(SimulateStep, BinomialTreeTakesItsFormulaUpAndSharesItsCardsDown) {
  for (const int32_t n : {2, 4, 8}) {
    const double levels = std::log2(n);
    EXPECT_NEAR(CommunicationOf(SpecOf("binomial-tree", n), kElements, 1),
                2 * levels * kLatency + (levels + levels * (levels + 1) / 2) * kBytes / kRate,
                kRounding)
        << "N=" << n;
  }
}

TEST(SimulateStep, DirectSendsTheRingsBytesInTwoRounds) {
  for (int32_t n = 2; n <= 8; ++n) {
    EXPECT_NEAR(CommunicationOf(SpecOf("direct", n), kElements, 1),
                2.0 * (n - 1) / n * kBytes / kRate + 2 * kLatency, kRounding)
        << "N=" << n;
  }
}

TEST(SimulateStep, ReduceAndBroadcastPassesEverythingThroughOneCard) {
  for (int32_t n = 2; n <= 8; ++n) {
    EXPECT_NEAR(CommunicationOf(SpecOf("reduce-broadcast", n), kElements, 1),
                2.0 * (n - 1) * kBytes / kRate + 2 * kLatency, kRounding)
        << "N=" << n;
  }
}

// With one bucket nothing can come back before all has gone there: N M/B each way, one after the
// other. With n buckets all but one of them overlap, and many come close to the formula's N M/B.
TEST(SimulateStep, TheCentralServersCardIsTheBottleneck) {
  for (int32_t n = 2; n <= 8; ++n) {
    for (const int32_t buckets : {1, 4, 40}) {
      EXPECT_NEAR(CommunicationOf(SpecOf("ps", n), kElements, buckets),
                  n * kBytes / kRate * (1 + 1.0 / buckets) + 2 * kLatency, kRounding)
          << "N=" << n << " buckets=" << buckets;
    }
  }
}

// max(M/B, N M/(K B)), in each direction; the last bucket's way back comes on top. Servers that
// wait for the part of a worker that began with another server cost up to a bucket more.
TEST(SimulateStep, DedicatedServersShareTheLoad) {
  constexpr int32_t kBuckets = 40;
  for (const int32_t n : {2, 4, 8}) {
    for (const int32_t k : {2, 4}) {
      const double bound = std::max(kBytes / kRate, n * kBytes / (k * kRate));
      const double taken = CommunicationOf(SpecOf("ps", n, k), kElements, kBuckets);
      EXPECT_GE(taken, bound) << "N=" << n << " K=" << k;
      EXPECT_LE(taken, bound * (1 + 2.0 / kBuckets) + 2 * kLatency + kRounding)
          << "N=" << n << " K=" << k;
    }
  }
}

// A worker's card sends its pushes and, for its server, the weights: 2(N-1)/N M/B. What is not
// overlapped is at most a bucket's.
TEST(SimulateStep, ColocatedServersTakeTheRingsTime) {
  constexpr int32_t kBuckets = 40;
  for (int32_t n = 2; n <= 8; ++n) {
    const double bound = 2.0 * (n - 1) / n * kBytes / kRate;
    const double taken = CommunicationOf(SpecOf("ps-sharded", n), kElements, kBuckets);
    EXPECT_GE(taken, bound - kRounding) << "N=" << n;
    EXPECT_LE(taken, bound * (1 + 1.0 / kBuckets) + 2 * kLatency + kRounding) << "N=" << n;
  }
}

TEST(SimulateStep, AnAsynchronousStepTakesItsPushAndItsPull) {
  // One worker: nobody shares the server. The push, the request behind it, the weights; then the
  // next step's push.
  const RunSpec spec = SpecOf("async", 1);
  const std::vector<Bucket> buckets = BucketsOf(kElements, 4);
  const auto step = SimulateStep(spec, buckets, CostsOf(spec, buckets.size()));
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->step, 2 * kBytes / kRate + 2 * kLatency, kRounding);
}

TEST(SimulateStep, WhatIsShorterThanComputingIsHidden) {
  // Buckets of 1 ms in turn every 10 ms: only the last one is waited for.
  const RunSpec spec = SpecOf("ring", 2);
  const std::vector<Bucket> buckets = BucketsOf(100000, 4);  // 100 kB each: 1 ms for both rounds
  Costs costs = CostsOf(spec, buckets.size(), kRate, /*latency=*/0);
  costs.compute = {/*load=*/0.001, /*compute=*/0.040, /*update=*/0.002, {0.25, 0.5, 0.75, 1}};
  const auto step = SimulateStep(spec, buckets, costs);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->exposed, 0.001, kRounding);
  EXPECT_NEAR(step->compute, 0.043, kRounding);
  EXPECT_NEAR(step->step, 0.044, kRounding);
  EXPECT_NEAR(step->communication, 0.004, kRounding);
}

TEST(SimulateStep, AStragglerHoldsUpThoseWhoWaitForIt) {
  const std::vector<Bucket> buckets = BucketsOf(1000, 1);
  const auto step_of = [&](const std::string& arm) {
    const RunSpec spec = SpecOf(arm, 4);
    Costs costs = CostsOf(spec, 1, /*rate=*/1e30, /*latency=*/0);
    costs.compute = {0, 0.010, 0, {1}};
    costs.delay = [](int32_t rank, int64_t step) { return rank == 3 ? 0.030 : 0.0; };
    const auto step = SimulateStep(spec, buckets, costs);
    EXPECT_TRUE(step.ok()) << step.status();
    return step->step;
  };
  EXPECT_NEAR(step_of("ps"), 0.040, kRounding);
  EXPECT_NEAR(step_of("ring"), 0.040, kRounding);
  // Within the bound they run ahead, then they wait for it in every step. Computing drifts by up to
  // 5 %.
  EXPECT_NEAR(step_of("ssp"), 0.040, 0.001);
  EXPECT_NEAR(step_of("async"), 0.010, 0.0005);
}

// In lockstep all would push and then all pull, N M/B each. With no barrier some push while others
// pull.
TEST(SimulateStep, AsynchronousWorkersUseBothWaysOfTheServersCardAtOnce) {
  const RunSpec spec = SpecOf("async", 4);
  const std::vector<Bucket> buckets = BucketsOf(kElements, 4);
  Costs costs = CostsOf(spec, buckets.size(), kRate, /*latency=*/0);
  costs.compute = {0, 0.004, 0, {0.25, 0.5, 0.75, 1}};
  const auto step = SimulateStep(spec, buckets, costs);
  ASSERT_TRUE(step.ok()) << step.status();
  const double one_way = 4 * kBytes / kRate;
  EXPECT_GE(step->step, one_way * 0.95);
  EXPECT_LE(step->step, one_way * 1.75);
}

TEST(SimulateStep, WorkThatSharesCoresTakesItsTime) {
  // Two workers on two cores: what their messages take of these comes on top of computing, though
  // the network is fast.
  const RunSpec spec = SpecOf("ring", 2);
  const std::vector<Bucket> buckets = BucketsOf(kElements, 1);
  Costs costs = CostsOf(spec, 1, /*rate=*/1e30, /*latency=*/0);
  costs.compute = {0, 0.010, 0, {1}};
  costs.cores.cores = 2;
  costs.cores.message = 0.0005;  // two rounds of two messages, each of half of the bucket
  costs.cores.byte = 0.004 / kBytes;
  auto step = SimulateStep(spec, buckets, costs);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->step, 0.010 + (4 * 0.0005 + 2 * 0.004) / 2, kRounding);
  // Emulated computing leaves them alone, and so does a machine with cores to spare.
  costs.cores.computes = false;
  EXPECT_NEAR(SimulateStep(spec, buckets, costs)->step, 0.010, kRounding);
  costs.cores.computes = true;
  costs.cores.cores = 8;
  EXPECT_NEAR(SimulateStep(spec, buckets, costs)->step, 0.010, kRounding);
}

TEST(SimulateStep, AFactorStretchesARanksComputing) {
  const RunSpec spec = SpecOf("ring", 2);
  Costs costs = CostsOf(spec, 1, /*rate=*/1e30, /*latency=*/0);
  costs.compute = {0.001, 0.010, 0.002, {1}};
  costs.factors = {1, 4};
  const auto step = SimulateStep(spec, BucketsOf(1000, 1), costs);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->step, 0.043, kRounding);
  EXPECT_NEAR(step->exposed, 0.015, kRounding);
  EXPECT_NEAR(step->compute, 0.028, kRounding);
}

TEST(SimulateStep, CodecsSendFewerBytesAndTakeTime) {
  const std::vector<Bucket> buckets = BucketsOf(kElements, 1);
  const auto communication_of = [&](const std::string& arm, double encode) {
    const RunSpec spec = SpecOf(arm, 2);
    Costs costs = CostsOf(spec, 1, kRate, /*latency=*/0);
    costs.codec.encode = encode;
    const auto step = SimulateStep(spec, buckets, costs);
    EXPECT_TRUE(step.ok()) << step.status();
    return step->communication;
  };
  EXPECT_NEAR(communication_of("ring-fp16", 0), kBytes / 2 / kRate, kRounding);
  EXPECT_NEAR(communication_of("ring-fp16", 1e-8), kBytes / 2 / kRate + kElements * 1e-8,
              kRounding);
  // Up half, down whole.
  EXPECT_NEAR(communication_of("ps-fp16", 0), 2 * (kBytes / 2 + kBytes) / kRate, kRounding);
  // A gather of 8 bytes for each of 1 %, rounded up.
  EXPECT_NEAR(communication_of("ring-topk", 0), std::ceil(kElements / 100.0) * 8 / kRate, 1e-7);
}

// The second round of a bucket waits for the sum of the first; the link is free meanwhile for other
// buckets. The bytes of both rounds of all buckets go through, and the last bucket's latency twice.
TEST(SimulateStep, SumsInRoundsTakeBothRoundsAndWhatLiesBetween) {
  const RunSpec spec = SpecOf("ring-powersgd", 2);
  constexpr int64_t kFirst = 20000, kSecond = 10000;
  for (const int32_t bucket_count : {1, 3, 9}) {
    const std::vector<Bucket> buckets = BucketsOf(100000 * bucket_count, bucket_count);
    Costs costs = CostsOf(spec, buckets.size());
    costs.codec.rounds.assign(buckets.size(), {kFirst, kSecond});
    const auto step = SimulateStep(spec, buckets, costs);
    ASSERT_TRUE(step.ok()) << step.status();
    // Of a ring of two each way: the data once, in two messages one after the other.
    const double bytes = 4.0 * (kFirst + kSecond) / kRate;
    if (bucket_count == 1) {
      EXPECT_NEAR(step->communication, bytes + 4 * kLatency, kRounding);
    } else {
      EXPECT_GE(step->communication, bucket_count * bytes + 2 * kLatency - kRounding);
      EXPECT_LE(step->communication, bucket_count * bytes + 12 * kLatency);
    }
    costs.codec.encode = 1e-8;
    costs.codec.between = 2e-8;
    costs.codec.decode = 3e-8;
    const auto slower = SimulateStep(spec, buckets, costs);
    ASSERT_TRUE(slower.ok()) << slower.status();
    if (bucket_count == 1) {
      EXPECT_NEAR(slower->communication - step->communication, 100000 * 6e-8, kRounding);
    }
  }
}

TEST(SimulateStep, OneSlowCardSlowsTheRing) {
  const RunSpec spec = SpecOf("ring", 4);
  const std::vector<Bucket> buckets = BucketsOf(kElements, 1);
  Costs costs = CostsOf(spec, 1, kRate, /*latency=*/0);
  costs.network.plan.egress[2] = kRate * 1e-9 / 10;
  const auto step = SimulateStep(spec, buckets, costs);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->communication, 10 * 2.0 * 3 / 4 * kBytes / kRate, kBytes / kRate);
}

TEST(SimulateStep, SingleComputesEverybodysBatches) {
  const RunSpec spec = SpecOf("single", 4);
  const std::vector<Bucket> buckets = BucketsOf(1000, 1);
  Costs costs = CostsOf(spec, 1);
  costs.compute = {0.001, 0.010, 0.002, {1}};
  const auto step = SimulateStep(spec, buckets, costs);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->step, 4 * 0.011 + 0.002, kRounding);
  EXPECT_EQ(step->communication, 0);
}

TEST(SimulateStep, RefusesAnotherLibrarysAllReduce) {
  const RunSpec spec = SpecOf("all-reduce-gloo", 2);
  const std::vector<Bucket> buckets = BucketsOf(1000, 1);
  const auto step = SimulateStep(spec, buckets, CostsOf(spec, 1));
  EXPECT_EQ(step.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(step.status().message()), testing::HasSubstr("gloo"));
}

// Where nothing is random a few steps are played, else many: a jitter of a nanosecond makes the
// difference. It may also change which of two messages of one moment goes first, and so a step by
// a part of a per cent.
TEST(SimulateStep, FewStepsSayWhatManySayWhereStepsRepeat) {
  const auto repeats = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether &&
           arm.traits.backup_workers == 0;
  };
  for (const std::string& arm : ArmsThat(repeats)) {
    const RunSpec spec = SpecOf(arm, 5);
    const std::vector<Bucket> buckets = BucketsOf(12 * 1001, 12);
    Costs costs = CostsOf(spec, buckets.size(), kRate, /*latency=*/1e-4);
    costs.compute = {0.0002, 0.002, 0.0003, {}};
    for (size_t bucket = 0; bucket < buckets.size(); ++bucket)
      costs.compute.bucket_ready.push_back((bucket + 1) / 12.0);
    costs.codec.encode = costs.codec.decode = 1e-8;
    const auto few = SimulateStep(spec, buckets, costs);
    ASSERT_TRUE(few.ok()) << few.status();
    costs.network.plan.everywhere.jitter = 1;
    const auto many = SimulateStep(spec, buckets, costs);
    ASSERT_TRUE(many.ok()) << many.status();
    EXPECT_NEAR(few->step, many->step, 2e-3 * many->step) << arm;
    EXPECT_NEAR(few->exposed, many->exposed, 2e-3 * many->step) << arm;
  }
}

// Racks of `size` ranks; cards are `times` as fast as an uplink.
double CommunicationInRacks(const std::string& arm, int32_t n, int32_t size, double times) {
  RunSpec spec = SpecOf(arm, n);
  if (TraitsOf(spec).group_size > 0)
    spec.mutable_strategy()->mutable_all_reduce()->set_group_size(size);
  const std::vector<Bucket> buckets = BucketsOf(kElements, 1);
  Costs costs = CostsOf(spec, 1, kRate * times, /*latency=*/0);
  for (int32_t rank = 0; rank < n; ++rank) costs.network.plan.racks.push_back(rank / size);
  costs.network.plan.uplinks.assign(n / size, kRate * 1e-9);
  const auto step = SimulateStep(spec, buckets, costs);
  EXPECT_TRUE(step.ok()) << step.status();
  return step->communication;
}

// Where uplinks are the bottleneck: the ring sends 2M(N-1)/N over each, the hierarchy of G racks
// 2M(G-1)/G. Inside it takes 2M(P-1)/P at the cards' rate.
TEST(SimulateStep, BehindUplinksTheHierarchyTakesItsFormulaAndBeatsTheRing) {
  constexpr double kTimes = 1000;
  for (const auto& [n, size] : std::vector<std::pair<int32_t, int32_t>>{{4, 2}, {8, 4}, {6, 3}}) {
    const double groups = n / size;
    const double ring = CommunicationInRacks("ring", n, size, kTimes);
    const double hierarchy = CommunicationInRacks("hierarchical", n, size, kTimes);
    const double inside = 2.0 * (size - 1) / size * kBytes / kRate / kTimes;
    EXPECT_NEAR(hierarchy, 2 * (groups - 1) / groups * kBytes / kRate + inside, 1e-2 * hierarchy)
        << n;
    EXPECT_NEAR(ring, 2.0 * (n - 1) / n * kBytes / kRate, 1e-2 * ring) << n;
    EXPECT_GT(ring / hierarchy, 1.45) << n;
  }
  // Without uplinks to save they are one: the same bytes.
  EXPECT_NEAR(CommunicationInRacks("hierarchical", 4, 2, 1e-3),
              CommunicationInRacks("ring", 4, 2, 1e-3), 1e-3 * kBytes / kRate / 1e-3);
}

// A step of computing that is longer than the exchange hides it whole, one that is shorter waits
// for the rest.
TEST(SimulateStep, ADelayedSumIsHiddenBehindTheNextStep) {
  const RunSpec ring = SpecOf("ring", 4), delayed = SpecOf("delayed", 4);
  const std::vector<Bucket> buckets = BucketsOf(kElements, 4);
  const double exchange = CommunicationOf(ring, kElements, 4);
  for (const double compute : {1.5 * exchange, 0.5 * exchange}) {
    const auto exposed = [&, compute](const RunSpec& spec) {
      Costs costs = CostsOf(spec, buckets.size());
      costs.compute = {0, compute, 0, std::vector<double>(buckets.size(), 1.0)};
      const auto step = SimulateStep(spec, buckets, costs);
      EXPECT_TRUE(step.ok()) << step.status();
      return step->exposed;
    };
    EXPECT_NEAR(exposed(ring), exchange, 0.01 * exchange);
    EXPECT_NEAR(exposed(delayed), std::max(0.0, exchange - compute), 0.01 * exchange);
  }
}

TEST(SimulateStep, ManyRanksTakeTheirFormulaToo) {
  const int32_t n = 64;
  const int64_t elements = int64_t{n} * 1024;
  const double bytes = elements * 4.0;
  const double volume = 2.0 * (n - 1) / n * bytes / kRate;
  EXPECT_NEAR(CommunicationOf(SpecOf("ring", n), elements, 1), volume + 2 * (n - 1) * kLatency,
              kRounding);
  EXPECT_NEAR(CommunicationOf(SpecOf("direct", n), elements, 1), volume + 2 * kLatency, kRounding);
  EXPECT_NEAR(CommunicationOf(SpecOf("ps-sharded", n), elements, 1), volume + 2 * kLatency,
              kRounding);
}

// The ends of `steps` steps of every rank that is played, and the messages of all.
struct Played {
  std::vector<double> ends;
  int64_t messages = 0;
};

absl::StatusOr<Played> PlayRanks(const RunSpec& spec, int32_t buckets_count, int64_t steps,
                                 bool merged) {
  const int32_t ranks = spec.training().workers();
  const std::vector<Bucket> buckets = BucketsOf(int64_t{buckets_count} * ranks * 40, buckets_count);
  Costs costs = CostsOf(spec, buckets.size());
  costs.compute.compute = 0.001;
  for (std::vector<int64_t>& rounds : costs.codec.rounds) rounds = {ranks * 12, ranks * 6};
  const auto plan = PlanCluster(spec, buckets, costs, merged);
  if (!plan.ok()) return plan.status();
  const auto cluster = *SimulatedCluster::Create(spec, *plan, costs, /*drift=*/0);
  EXPECT_EQ(cluster->workers(), merged ? 1 : ranks);
  for (int32_t rank = 0; rank < cluster->workers(); ++rank) cluster->thread(rank).Run(steps, [] {});
  EXPECT_TRUE(cluster->Run([] { return false; }).ok());
  Played played;
  for (int32_t rank = 0; rank < cluster->workers(); ++rank) {
    for (const auto& step : cluster->thread(rank).steps()) played.ends.push_back(step.end);
  }
  played.messages = cluster->network().messages() * (merged ? ranks : 1);
  return played;
}

void ExpectMergedIsExact(const RunSpec& spec, int32_t buckets) {
  SCOPED_TRACE(absl::StrCat(spec.name(), " buckets=", buckets));
  constexpr int64_t kSteps = 3;
  const auto whole = PlayRanks(spec, buckets, kSteps, /*merged=*/false);
  const auto merged = PlayRanks(spec, buckets, kSteps, /*merged=*/true);
  ASSERT_TRUE(whole.ok() && merged.ok()) << merged.status();
  ASSERT_EQ(merged->ends.size(), static_cast<size_t>(kSteps));
  ASSERT_EQ(whole->ends.size(), static_cast<size_t>(kSteps) * spec.training().workers());
  for (size_t i = 0; i < whole->ends.size(); ++i)
    ASSERT_EQ(whole->ends[i], merged->ends[i % kSteps]) << i;
  EXPECT_EQ(whole->messages, merged->messages);
}

// One rank that stands for all takes the steps of each, to the nanosecond.
TEST(SimulatedCluster, AMergedRingTakesTheStepsOfRanksThatAreAllPlayed) {
  for (const int32_t buckets : {1, 3}) ExpectMergedIsExact(SpecOf("ring", 256), buckets);
}

// And so do all that can be merged; the others say why not.
TEST(SimulatedCluster, WhatIsMergedIsExactAndRanksWithDifferentPartsAreNot) {
  const auto is_collective = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && (!arm.traits.collective.empty() || arm.traits.gossip.has_value());
  };
  int merged = 0, refused = 0;
  for (const std::string& arm : ArmsThat(is_collective)) {
    const RunSpec spec = SpecOf(arm, 8);
    const absl::Status status = PlayRanks(spec, 4, /*steps=*/1, /*merged=*/true).status();
    if (status.ok()) {
      ExpectMergedIsExact(spec, 4);
      ++merged;
      continue;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << arm;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("than worker/0")) << arm;
    ++refused;
  }
  EXPECT_GT(merged, 0);
  EXPECT_GT(refused, 0);
}

// Every arm that the program knows, with more buckets than may be in flight at once, comes to its
// end.
TEST(SimulateStep, NoArmStandsStill) {
  for (const ArmInfo& arm : Arms()) {
    for (const int32_t n : {1, 2, 3, 5, 8}) {
      const RunSpec spec = SpecOf(arm.name, n);
      if (!CheckPredictable(spec).ok() || TraitsOf(spec).backup_workers >= n) continue;
      const std::vector<Bucket> buckets = BucketsOf(30 * 1001, 30);
      Costs costs = CostsOf(spec, buckets.size());
      costs.compute.compute = 0.001;
      costs.network.plan.links[{0, 0}].jitter = 1000000;
      const auto step = SimulateStep(spec, buckets, costs);
      ASSERT_TRUE(step.ok()) << arm.name << " N=" << n << ": " << step.status();
      // Where nobody keeps workers in step a step's computing drifts by 5 %.
      EXPECT_GE(step->step, 0.95 * 0.001) << arm.name << " N=" << n;
    }
  }
}

}  // namespace
}  // namespace ringmaster
