// The ring in two halves with the update between them leaves the ring's bits, and each worker keeps
// a share of the optimizer's state.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/config/resolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"
#include "tests/support/transports.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using ::testing::HasSubstr;

constexpr int64_t kSteps = 12;
// Buckets of 101, 101, 101 and 2 elements: none divides, and the last is smaller than N.
constexpr int64_t kCount = 305;
constexpr int64_t kBucketElements = 101;

Floats InitialWeights() {
  Random random(5);
  Floats weights(kCount);
  for (float& value : weights) value = random.Normal();
  return weights;
}

// Any floats: sums depend on the order of addition, and wrong weights change all that follows.
absl::Status TrainWorker(GroupWorker& worker) {
  const auto source = [&](int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
    Random random(MixSeed(MixSeed(rank, step), bucket.id));
    for (int64_t i = 0; i < bucket.count; ++i)
      out[i] = random.Normal() * 3 + worker.front()[bucket.begin + i];
  };
  const absl::Status stepped = worker.Steps(0, kSteps, source);
  return stepped.ok() ? worker.strategy().Drain() : stepped;
}

struct Trained {
  std::vector<Floats> weights;       // by rank
  std::vector<int64_t> state_bytes;  // by rank
};

RunSpec SpecOf(const std::string& scheme, const std::string& optimizer, int32_t workers) {
  RunSpec spec = GroupSpec(workers, 0.05f);
  if (scheme == "ring") {
    spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
  } else {
    spec.mutable_strategy()->mutable_sharded_optimizer();
  }
  spec.mutable_optimizer()->set_name(optimizer);
  return spec;
}

Trained Train(const RunSpec& spec, const std::string& transport = "inproc") {
  GroupOptions options;
  options.transport = transport;
  StrategyGroup group(spec, InitialWeights(), kBucketElements, options);
  const absl::Status status = group.Run(TrainWorker);
  EXPECT_TRUE(status.ok()) << status;
  Trained trained;
  for (int32_t rank = 0; rank < group.workers(); ++rank) {
    trained.weights.emplace_back(group.worker(rank).front().begin(),
                                 group.worker(rank).front().end());
    trained.state_bytes.push_back(group.worker(rank).state_bytes());
  }
  return trained;
}

TEST(ShardedOptimizer, HasTheRingsBitsUnderEveryOptimizer) {
  for (const char* optimizer : {"sgd", "momentum", "nesterov", "adam", "adamw"}) {
    for (const int32_t workers : {1, 2, 3, 4}) {
      SCOPED_TRACE(absl::StrCat(optimizer, " N=", workers));
      const Trained ring = Train(SpecOf("ring", optimizer, workers));
      const Trained sharded = Train(SpecOf("sharded", optimizer, workers));
      ASSERT_NE(ring.weights[0], InitialWeights());
      for (int32_t rank = 0; rank < workers; ++rank)
        EXPECT_EQ(sharded.weights[rank], ring.weights[0]) << "worker/" << rank;
    }
  }
}

TEST(ShardedOptimizer, HasThemOverEveryTransport) {
  const Floats ring = Train(SpecOf("ring", "momentum", 3)).weights[0];
  for (const std::string& transport : AllTransports()) {
    for (const Floats& weights : Train(SpecOf("sharded", "momentum", 3), transport).weights)
      EXPECT_EQ(weights, ring) << transport;
  }
}

TEST(ShardedOptimizer, AWorkerKeepsItsShareOfTheOptimizersStateAndAllKeepItOnce) {
  for (const int32_t workers : {2, 3, 4}) {
    for (const auto& [optimizer, arrays] : {std::pair{"momentum", 1}, std::pair{"adam", 2}}) {
      SCOPED_TRACE(absl::StrCat(optimizer, " N=", workers));
      const int64_t whole = arrays * kCount * static_cast<int64_t>(sizeof(float));
      for (const int64_t bytes : Train(SpecOf("ring", optimizer, workers)).state_bytes)
        EXPECT_EQ(bytes, whole);
      const Trained sharded = Train(SpecOf("sharded", optimizer, workers));
      int64_t all = 0;
      for (const int64_t bytes : sharded.state_bytes) {
        all += bytes;
        // A chunk of each of the four buckets may be an element larger.
        EXPECT_NEAR(bytes, static_cast<double>(whole) / workers, 4 * arrays * sizeof(float));
      }
      EXPECT_EQ(all, whole);
    }
  }
}

std::string ProblemsOf(const std::string& setting) {
  RunSpec spec = SpecOf("sharded", "sgd", 2);
  if (setting == "codec") spec.mutable_codec()->set_name("fp16");
  if (setting == "clip") spec.mutable_optimizer()->set_clip_norm(1);
  if (setting == "dump") spec.mutable_output()->set_dump_gradients("g");
  return std::string(Validate(*Resolve(spec, {}), TestNames()).message());
}

TEST(ShardedOptimizer, RefusesWhatItCannotDoAndSaysWhatToTake) {
  EXPECT_THAT(ProblemsOf("codec"), HasSubstr("codec.name = \"fp16\": half of what"));
  EXPECT_THAT(ProblemsOf("codec"), HasSubstr("use codec \"none\", or strategy all_reduce"));
  EXPECT_THAT(ProblemsOf("clip"), HasSubstr("each worker has the sum of the share alone"));
  EXPECT_THAT(ProblemsOf("dump"), HasSubstr("each worker has the averaged gradient of the share"));
}

}  // namespace
}  // namespace ringmaster
