// Weights that come as encoded differences: the real strategies and servers on threads.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/exchange/parts.h"
#include "common/scheme/registry.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kCount = 305;
constexpr int64_t kBucketElements = 101;
constexpr int32_t kWorkers = 3;
constexpr int64_t kSteps = 6;

// A strategy of servers; `down` as text of a CodecSpec, empty for none.
RunSpec SpecOf(const std::string& server, const std::string& down) {
  RunSpec spec = GroupSpec(kWorkers, 0.05f);
  StrategySpec* strategy = spec.mutable_strategy();
  strategy->set_work(StrategySpec::DEALT);
  EXPECT_TRUE(
      google::protobuf::TextFormat::ParseFromString(server, strategy->mutable_parameter_server()));
  if (!down.empty()) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        down, strategy->mutable_parameter_server()->mutable_down_codec()));
  }
  return spec;
}

constexpr char kTopk[] = "name: 'topk' density: 0.1";
const char* const kServers[] = {
    "consistency: BSP placement: DEDICATED servers: 1",
    "consistency: BSP placement: COLOCATED servers: 3",
    "consistency: BSP placement: DEDICATED servers: 2 backup_workers: 1",
    "consistency: SSP staleness_bound: 1 placement: COLOCATED servers: 2",
    "consistency: ASYNCHRONOUS placement: DEDICATED servers: 2",
    "consistency: ASYNCHRONOUS placement: DEDICATED servers: 2 local_steps: 2",
};

Floats InitialWeights() {
  Floats weights(kCount);
  for (int64_t i = 0; i < kCount; ++i) weights[i] = std::sin(static_cast<float>(i + 1));
  return weights;
}

// A bowl of the worker's own, over N.
void Bowl(int32_t rank, const GroupWorker& worker, const Bucket& bucket, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const float weight = worker.front()[bucket.begin + i];
    out[i] = static_cast<float>(1 + rank) * (weight - 0.5f * static_cast<float>(rank)) / kWorkers;
  }
}

absl::Status Steps(GroupWorker& worker, int64_t begin, int64_t end) {
  return worker.Steps(begin, end,
                      [&](int32_t rank, int64_t, const Bucket& bucket, absl::Span<float> out) {
                        Bowl(rank, worker, bucket, out);
                      });
}

Floats Copy(absl::Span<const float> values) { return {values.begin(), values.end()}; }

// The floats of one entry of a state.
Floats FloatsOf(const State& state, const std::string& name) {
  for (const State::Entry& entry : state.entries()) {
    if (entry.name == name) return std::get<Floats>(entry.value);
  }
  return {};
}

struct Outcome {
  std::vector<Floats> stepped;  // by rank: the weights of the last step
  std::vector<Floats> drained;  // by rank
  Floats server;                // the servers' weights in the end
};

// Runs all steps and drains.
Outcome Train(const RunSpec& spec) {
  StrategyGroup group(spec, InitialWeights(), kBucketElements);
  Outcome outcome;
  outcome.stepped.resize(kWorkers);
  outcome.drained.resize(kWorkers);
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    const int32_t rank = worker.rank();
    absl::Status done = Steps(worker, 0, kSteps);
    if (done.ok()) outcome.stepped[rank] = Copy(worker.front());
    if (done.ok()) done = worker.strategy().Drain();
    outcome.drained[rank] = Copy(worker.strategy().ModelWeights().host());
    return done;
  });
  EXPECT_TRUE(status.ok()) << spec.strategy().ShortDebugString() << ": " << status;
  outcome.server.resize(kCount);
  const int32_t servers = TraitsOf(group.spec()).servers;
  for (int32_t index = 0; index < servers; ++index) {
    const Floats shard = FloatsOf(*group.server(index).Give(), "weights");
    const float* next = shard.data();
    for (const Range& part : ShardParts(group.layout(), servers, index)) {
      std::copy_n(next, part.count, outcome.server.begin() + part.begin);
      next += part.count;
    }
  }
  return outcome;
}

TEST(DownCodec, NoneIsAsIfThereWereNoneToTheBit) {
  for (const char* server : {kServers[0], kServers[1]}) {
    const Outcome plain = Train(SpecOf(server, "")), none = Train(SpecOf(server, "name: 'none'"));
    EXPECT_EQ(none.stepped, plain.stepped);
    EXPECT_EQ(none.drained, plain.drained);
    EXPECT_EQ(none.server, plain.server);
  }
}

// A drain brings the servers' weights whole: the model is theirs.
TEST(DownCodec, ADrainBringsTheServersWeightsToTheBit) {
  for (const char* server : kServers) {
    SCOPED_TRACE(server);
    const Outcome end = Train(SpecOf(server, kTopk));
    for (int32_t rank = 0; rank < kWorkers; ++rank) EXPECT_EQ(end.drained[rank], end.server);
    // With which nobody has computed its last step.
    EXPECT_NE(end.stepped[0], end.server);
    EXPECT_NE(end.server, InitialWeights());
  }
}

TEST(DownCodec, EveryWorkerHoldsWhatItsServersHoldForIt) {
  for (const char* server : kServers) {
    for (const char* down :
         {kTopk, "name: 'int8'", "name: 'qsgd' levels: 127", "name: 'threshold' threshold: 0.01"}) {
      SCOPED_TRACE(absl::StrCat(server, " ", down));
      StrategyGroup group(SpecOf(server, down), InitialWeights(), kBucketElements);
      std::vector<Floats> held(kWorkers);
      // A drain on the way, which brings floats, and none in the end: each says farewell with
      // differences still to come.
      const absl::Status status = group.Run([](GroupWorker& worker) {
        absl::Status done = Steps(worker, 0, kSteps / 2);
        if (done.ok()) done = worker.strategy().Drain();
        return done.ok() ? Steps(worker, kSteps / 2, kSteps) : done;
      });
      ASSERT_TRUE(status.ok()) << status;
      const int32_t servers = TraitsOf(group.spec()).servers;
      for (int32_t rank = 0; rank < kWorkers; ++rank)
        held[rank] = FloatsOf(group.worker(rank).strategy().Give(), "held");
      for (int32_t index = 0; index < servers; ++index) {
        const Floats shards = FloatsOf(*group.server(index).Give(), "down/held");
        const std::vector<Range> parts = ShardParts(group.layout(), servers, index);
        const size_t count = GatherShard(parts, held[0]).size();
        ASSERT_EQ(shards.size() % count, 0u);
        const bool is_shared = shards.size() == count;
        for (int32_t rank = 0; rank < kWorkers; ++rank) {
          const size_t begin = is_shared ? 0 : rank * count;
          const Floats of_rank(shards.begin() + begin, shards.begin() + begin + count);
          EXPECT_EQ(GatherShard(parts, held[rank]), of_rank) << "worker/" << rank;
          if (is_shared) {
            EXPECT_EQ(held[rank], held[0]);
          }
        }
        // What is still to come: whoever gave to the last update had pulled before it. With backup
        // workers that need not be worker 0.
        const Floats weights = FloatsOf(*group.server(index).Give(), "weights");
        EXPECT_TRUE(std::any_of(held.begin(), held.end(), [&](const Floats& of_rank) {
          return GatherShard(parts, of_rank) != weights;
        }));
      }
    }
  }
}

// Under BSP all compute each step with the same weights.
TEST(DownCodec, UnderBspReplicasAreEqualInEveryStep) {
  StrategyGroup group(SpecOf(kServers[1], "name: 'qsgd' levels: 15"), InitialWeights(),
                      kBucketElements);
  group.StartServers();
  Floats before;
  for (int64_t step = 0; step < kSteps; ++step) {
    ASSERT_TRUE(
        group.OnWorkers([&](GroupWorker& worker) { return worker.strategy().BeginStep(step); })
            .ok());
    for (int32_t rank = 1; rank < kWorkers; ++rank)
      ASSERT_EQ(group.worker(rank).front(), group.worker(0).front()) << step;
    EXPECT_NE(Copy(group.worker(0).front()), before) << step;
    before = Copy(group.worker(0).front());
    ASSERT_TRUE(group
                    .OnWorkers([&](GroupWorker& worker) {
                      return worker.Compute(
                          step, [&](int32_t rank, int64_t, const Bucket& bucket,
                                    absl::Span<float> out) { Bowl(rank, worker, bucket, out); });
                    })
                    .ok());
  }
}

// It trains, and ends nearer to where plain weights end than it began.
TEST(DownCodec, WhatIsLeftOutOnTheWayDownComesLater) {
  for (const char* server : {kServers[0], kServers[4]}) {
    const RunSpec plain = SpecOf(server, ""), topk = SpecOf(server, kTopk);
    const Outcome end = Train(plain), encoded = Train(topk);
    double moved = 0, apart = 0;
    const Floats initial = InitialWeights();
    for (int64_t i = 0; i < kCount; ++i) {
      moved += std::pow(double{end.server[i]} - initial[i], 2);
      apart += std::pow(double{end.server[i]} - encoded.server[i], 2);
    }
    EXPECT_LT(apart, 0.25 * moved) << server;
    EXPECT_GT(apart, 0) << server;
  }
}

// Five steps and a drain, and five more of new objects that take the state, are ten.
TEST(DownCodec, GoesOnFromAStateWithTheSameBits) {
  for (const char* server : {kServers[0], kServers[1]}) {
    SCOPED_TRACE(server);
    const RunSpec spec = SpecOf(server, kTopk);
    const auto five = [](StrategyGroup& group, int64_t begin, std::vector<Floats>* ends) {
      return group.OnWorkers([=](GroupWorker& worker) {
        absl::Status done = Steps(worker, begin, begin + 5);
        if (done.ok()) (*ends)[worker.rank()] = Copy(worker.front());
        return done.ok() ? worker.strategy().Drain() : done;
      });
    };
    std::vector<Floats> whole(kWorkers), resumed(kWorkers);
    StrategyGroup first(spec, InitialWeights(), kBucketElements);
    first.StartServers();
    ASSERT_TRUE(five(first, 0, &whole).ok());
    std::vector<State> replicas, strategies;
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      replicas.push_back(*first.worker(rank).replica().Give());
      strategies.push_back(first.worker(rank).strategy().Give());
      EXPECT_EQ(FloatsOf(strategies.back(), "held"), Copy(first.worker(rank).front()));
    }
    ASSERT_TRUE(five(first, 5, &whole).ok());

    StrategyGroup stopped(spec, InitialWeights(), kBucketElements);
    ASSERT_TRUE(stopped
                    .Run([](GroupWorker& worker) {
                      const absl::Status done = Steps(worker, 0, 5);
                      return done.ok() ? worker.strategy().Drain() : done;
                    })
                    .ok());
    StrategyGroup second(spec, InitialWeights(), kBucketElements);
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      ASSERT_TRUE(second.worker(rank).replica().Take(replicas[rank]).ok());
      ASSERT_TRUE(second.worker(rank).strategy().Take(strategies[rank]).ok());
    }
    for (int32_t index = 0; index < TraitsOf(second.spec()).servers; ++index)
      ASSERT_TRUE(second.server(index).Take(*stopped.server(index).Give()).ok());
    second.StartServers();
    ASSERT_TRUE(five(second, 5, &resumed).ok());
    EXPECT_EQ(resumed, whole);
    // Another kind of strategy does not take it, nor it another's.
    StrategyGroup plain(SpecOf(server, ""), InitialWeights(), kBucketElements);
    EXPECT_FALSE(plain.worker(0).strategy().Take(strategies[0]).ok());
    EXPECT_FALSE(plain.server(0).Take(*stopped.server(0).Give()).ok());
    EXPECT_FALSE(second.worker(0).strategy().Take(plain.worker(0).strategy().Give()).ok());
  }
}

}  // namespace
}  // namespace ringmaster
