// An all-reduce whose codec is summed in rounds: what threads and messages make of it is what the
// reducers make of it in one thread, bit for bit.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/reducer.h"
#include "common/collective/schedule.h"
#include "common/state/state.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/codec/reducer_cluster.h"
#include "tests/contract/bytes/payload_check.h"
#include "tests/support/transports.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr float kRate = 0.125f;  // so that an update rounds once
constexpr int64_t kSteps = 5;
// More buckets than a rank begins before it goes on with the first; the last one is of one element.
constexpr int64_t kCount = 2101;
constexpr int64_t kBucketElements = 300;

RunSpec SpecOf(int32_t workers, const std::string& collective) {
  RunSpec spec = GroupSpec(workers, kRate);
  spec.mutable_strategy()->mutable_all_reduce()->set_collective(collective);
  spec.mutable_codec()->set_name("powersgd");
  spec.mutable_codec()->set_rank(2);
  spec.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  return spec;
}

void NormalGradient(int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
  Random random(MixSeed(MixSeed(MixSeed(77, rank), step), bucket.id));
  for (float& value : out) value = random.Normal();
}

Floats InitialWeights() {
  Random random(3);
  Floats weights(kCount);
  for (float& weight : weights) weight = random.Normal();
  return weights;
}

std::vector<Floats> Train(StrategyGroup* group) {
  const absl::Status status = group->Run([](GroupWorker& worker) {
    const absl::Status stepped = worker.Steps(0, kSteps, NormalGradient);
    return stepped.ok() ? worker.strategy().Drain() : stepped;
  });
  EXPECT_TRUE(status.ok()) << status;
  std::vector<Floats> weights;
  for (int32_t rank = 0; rank < group->workers(); ++rank) {
    const absl::Span<const float> front = group->worker(rank).front();
    weights.emplace_back(front.begin(), front.end());
  }
  return weights;
}

bool SameBits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The same in one thread, sums in rank order.
Floats TrainInOneThread(const StrategyGroup& group) {
  ReducerCluster cluster(group.spec().codec(), group.layout(), group.workers(),
                         group.spec().training().seed());
  Floats weights = InitialWeights();
  for (int64_t step = 0; step < kSteps; ++step) {
    std::vector<Floats> gradients(group.workers(), Floats(kCount));
    for (int32_t rank = 0; rank < group.workers(); ++rank) {
      for (const Bucket& bucket : group.layout().buckets()) {
        NormalGradient(rank, step, bucket,
                       absl::MakeSpan(gradients[rank]).subspan(bucket.begin, bucket.count));
      }
    }
    EXPECT_TRUE(cluster.Step(step, &gradients).ok());
    for (size_t i = 0; i < weights.size(); ++i) weights[i] -= kRate * gradients[0][i];
  }
  return weights;
}

// "direct" adds in rank order, as the one thread does; of two any order is that one.
TEST(ReducerSum, LeavesTheBitsOfTheReducersAlone) {
  for (const int32_t workers : {2, 3, 4}) {
    StrategyGroup group(SpecOf(workers, "direct"), InitialWeights(), kBucketElements);
    ASSERT_EQ(group.layout().buckets().size(), 8u);
    const Floats expected = TrainInOneThread(group);
    for (const Floats& weights : Train(&group)) EXPECT_TRUE(SameBits(weights, expected)) << workers;
  }
}

TEST(ReducerSum, LeavesEqualReplicasAndTheFormulasBytesUnderEverySchedule) {
  std::vector<std::string> names = {"auto"};
  for (const CollectiveInfo& info : Collectives()) names.push_back(info.name);
  for (const std::string& name : names) {
    for (const int32_t workers : {2, 3, 4}) {
      SCOPED_TRACE(absl::StrCat(name, " N=", workers));
      StrategyGroup group(SpecOf(workers, name), InitialWeights(), kBucketElements);
      const std::vector<Floats> weights = Train(&group);
      for (const Floats& other : weights) EXPECT_TRUE(SameBits(other, weights[0]));
      EXPECT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus());
    }
  }
}

TEST(ReducerSum, LeavesTheSameBitsOverEveryTransport) {
  Floats expected;
  for (const std::string& transport : ProcessTransports()) {
    GroupOptions options;
    options.transport = transport;
    StrategyGroup group(SpecOf(3, "direct"), InitialWeights(), kBucketElements, options);
    if (expected.empty()) expected = TrainInOneThread(group);
    for (const Floats& weights : Train(&group))
      EXPECT_TRUE(SameBits(weights, expected)) << transport;
  }
}

// Nothing is compressed that nobody is sent.
TEST(ReducerSum, OfOneWorkerIsItsGradient) {
  StrategyGroup group(SpecOf(1, "ring"), InitialWeights(), kBucketElements);
  Floats expected = InitialWeights();
  for (int64_t step = 0; step < kSteps; ++step) {
    for (const Bucket& bucket : group.layout().buckets()) {
      Floats gradient(bucket.count);
      NormalGradient(0, step, bucket, absl::MakeSpan(gradient));
      for (int64_t i = 0; i < bucket.count; ++i) expected[bucket.begin + i] -= kRate * gradient[i];
    }
  }
  EXPECT_TRUE(SameBits(Train(&group)[0], expected));
}

TEST(ReducerSum, EndsAllRanksWhenASumIsNotFinite) {
  StrategyGroup group(SpecOf(3, "ring"), InitialWeights(), kBucketElements);
  const absl::Status status = group.Run([](GroupWorker& worker) {
    return worker.Steps(
        0, kSteps, [](int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
          NormalGradient(rank, step, bucket, out);
          if (rank == 1 && step == 2 && bucket.id == 4) out[5] = NAN;
        });
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("step=2 bucket=4"));
}

TEST(ReducerSum, GoesOnFromItsStateWithTheSameBits) {
  StrategyGroup whole(SpecOf(2, "ring"), InitialWeights(), kBucketElements);
  std::vector<State> states(2);
  std::vector<Floats> midway(2), expected(2);
  ASSERT_TRUE(whole
                  .Run([&](GroupWorker& worker) {
                    const int32_t rank = worker.rank();
                    RM_RETURN_IF_ERROR(worker.Steps(0, 3, NormalGradient));
                    RM_RETURN_IF_ERROR(worker.strategy().Drain());
                    states[rank] = worker.strategy().Give();
                    midway[rank].assign(worker.front().begin(), worker.front().end());
                    RM_RETURN_IF_ERROR(worker.Steps(3, kSteps, NormalGradient));
                    expected[rank].assign(worker.front().begin(), worker.front().end());
                    return worker.strategy().Drain();
                  })
                  .ok());
  StrategyGroup second(SpecOf(2, "ring"), midway[0], kBucketElements);
  ASSERT_TRUE(second
                  .Run([&](GroupWorker& worker) {
                    RM_RETURN_IF_ERROR(worker.strategy().Take(states[worker.rank()]));
                    RM_RETURN_IF_ERROR(worker.Steps(3, kSteps, NormalGradient));
                    return worker.strategy().Drain();
                  })
                  .ok());
  for (const int32_t rank : {0, 1}) {
    const absl::Span<const float> front = second.worker(rank).front();
    EXPECT_TRUE(SameBits(Floats(front.begin(), front.end()), expected[rank]));
  }
}

}  // namespace
}  // namespace ringmaster
