// Synchronous strategies are one computation: fed the same gradients they leave the same weights,
// bit for bit.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/collective/choice.h"
#include "common/collective/schedule.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"
#include "tests/support/transports.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kSteps = 20;
// Buckets of 101, 101, 101 and 2 elements: none is a multiple of 2 or 3 parts but the last, which
// is smaller than 3.
constexpr int64_t kCount = 305;
constexpr int64_t kBucketElements = 101;
constexpr uint64_t kSeed = 20;

Random GradientStream(int32_t rank, int64_t step, const Bucket& bucket) {
  return Random(MixSeed(MixSeed(MixSeed(kSeed, rank), step), bucket.id));
}

// Any floats: sums depend on the order of addition, except of two.
void NormalGradient(int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
  Random random = GradientStream(rank, step, bucket);
  for (float& value : out) value = random.Normal() * (1 + 100 * random.Uniform());
}

// Multiples of 2^-10 below 1 in magnitude: every partial sum is exact, so every order gives the
// same bits.
void GridGradient(int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
  Random random = GradientStream(rank, step, bucket);
  for (float& value : out) value = (static_cast<float>(random.Below(2047)) - 1023.0f) * 0x1p-10f;
}

Floats InitialWeights(int64_t count = kCount) {
  Random random(kSeed);
  Floats weights(count);
  for (float& value : weights) value = random.Normal();
  return weights;
}

// What is trained, and over what.
struct Setting {
  int64_t count = kCount;
  int64_t bucket_elements = kBucketElements;
  GroupOptions group;
};

// Runs all steps and drains; every worker's front weights.
std::vector<Floats> Train(const RunSpec& spec, const GradientSource& source,
                          const Setting& setting = {}) {
  StrategyGroup group(spec, InitialWeights(setting.count), setting.bucket_elements, setting.group);
  std::vector<Floats> weights(group.workers());
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    absl::Status done = worker.Steps(0, kSteps, source);
    if (done.ok()) done = worker.strategy().Drain();
    weights[worker.rank()].assign(worker.front().begin(), worker.front().end());
    return done;
  });
  EXPECT_TRUE(status.ok()) << status;
  return weights;
}

// One worker that applies the sum of all gradients, added in rank order.
Floats TrainOnTheSum(int32_t workers, float learning_rate, const GradientSource& source) {
  RunSpec spec = GroupSpec(1, learning_rate);
  spec.mutable_strategy()->mutable_solo();
  return Train(spec, [&](int32_t, int64_t step, const Bucket& bucket, absl::Span<float> out) {
    source(0, step, bucket, out);
    Floats other(bucket.count);
    for (int32_t rank = 1; rank < workers; ++rank) {
      source(rank, step, bucket, absl::MakeSpan(other));
      Add(other, out);
    }
  })[0];
}

struct NamedSpec {
  std::string name;
  RunSpec spec;
};

// All synchronous strategies without a codec.
std::vector<NamedSpec> SynchronousSpecs(int32_t workers, float learning_rate) {
  std::vector<NamedSpec> specs;
  for (const auto placement : {ParameterServerSpec::DEDICATED, ParameterServerSpec::COLOCATED}) {
    for (int32_t servers = 1; servers <= 3; ++servers) {
      if (placement == ParameterServerSpec::COLOCATED && servers > workers) continue;
      RunSpec spec = GroupSpec(workers, learning_rate);
      ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
      ps->set_consistency(ParameterServerSpec::BSP);
      ps->set_placement(placement);
      ps->set_servers(servers);
      specs.push_back({absl::StrCat("ps K=", servers, " placement=", placement), spec});
    }
  }
  for (const CollectiveInfo& collective : CollectiveChoices()) {
    RunSpec spec = GroupSpec(workers, learning_rate);
    spec.mutable_strategy()->mutable_all_reduce()->set_collective(collective.name);
    specs.push_back({collective.name, spec});
  }
  return specs;
}

void ExpectAllAgree(int32_t workers, float learning_rate, const GradientSource& source) {
  const Floats expected = TrainOnTheSum(workers, learning_rate, source);
  EXPECT_NE(expected, InitialWeights());
  for (const NamedSpec& named : SynchronousSpecs(workers, learning_rate)) {
    SCOPED_TRACE(absl::StrCat(named.name, " N=", workers));
    const std::vector<Floats> weights = Train(named.spec, source);
    for (int32_t rank = 0; rank < workers; ++rank)
      EXPECT_EQ(weights[rank], expected) << "worker/" << rank;
  }
}

TEST(Strategies, OfTwoWorkersLeaveTheBitsOfOneOnTheSumWhateverTheGradients) {
  ExpectAllAgree(2, 0.05f, NormalGradient);
}

TEST(Strategies, OfThreeWorkersLeaveTheBitsOfOneOnTheSumWhereSumsAreExact) {
  ExpectAllAgree(3, 0.05f, GridGradient);
}

// Parts of more than 4096 bytes: over shm and within a process servers read them where the workers
// have them.
TEST(Strategies, OfServersLeaveTheSameBitsHoweverGradientsComeToThem) {
  for (const bool clips : {false, true}) {
    for (const int32_t workers : {2, 3}) {
      for (const auto placement :
           {ParameterServerSpec::DEDICATED, ParameterServerSpec::COLOCATED}) {
        RunSpec spec = GroupSpec(workers, 0.05f);
        ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
        ps->set_placement(placement);
        ps->set_servers(clips ? 1 : 2);  // who clips by the norm of all has all
        if (clips) spec.mutable_optimizer()->set_clip_norm(1.0f);
        std::vector<Floats> expected;
        for (const std::string& transport : AllTransports()) {
          SCOPED_TRACE(
              absl::StrCat(transport, " clips=", clips, " N=", workers, " placement=", placement));
          Setting setting{20'000, 6000, {}};
          setting.group.transport = transport;
          const std::vector<Floats> weights = Train(spec, NormalGradient, setting);
          if (expected.empty()) expected.assign(workers, weights[0]);
          EXPECT_EQ(weights, expected);
          EXPECT_NE(weights[0], InitialWeights(20'000));
        }
      }
    }
  }
}

// One worker: its own updates alone, in order.
TEST(Strategies, OfServersThatWaitForNobodyLeaveTheSameBitsHoweverGradientsComeToThem) {
  for (const auto consistency : {ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    RunSpec spec = GroupSpec(1, 0.05f);
    spec.mutable_strategy()->mutable_parameter_server()->set_consistency(consistency);
    std::vector<Floats> expected;
    for (const std::string& transport : AllTransports()) {
      SCOPED_TRACE(absl::StrCat(transport, " consistency=", consistency));
      Setting setting{20'000, 6000, {}};
      setting.group.transport = transport;
      const std::vector<Floats> weights = Train(spec, NormalGradient, setting);
      if (expected.empty()) expected = weights;
      EXPECT_EQ(weights, expected);
    }
  }
}

TEST(Strategies, OfOneWorkerLeaveTheBitsOfThatWorkerAlone) {
  ExpectAllAgree(1, 0.05f, NormalGradient);
}

TEST(Strategies, SoloWorkersDoNotHearOfEachOther) {
  RunSpec spec = GroupSpec(2, 0.05f);
  spec.mutable_strategy()->mutable_solo();
  const std::vector<Floats> weights = Train(spec, NormalGradient);
  EXPECT_EQ(weights[0], TrainOnTheSum(1, 0.05f, NormalGradient));
  EXPECT_NE(weights[0], weights[1]);
}

TEST(Strategies, ServersWithOneContributionAnUpdateHaveAppliedEveryGradientAfterDrain) {
  // A learning rate of 1 and gradients on a grid: the sum of all updates is exact in any order.
  const Floats expected = TrainOnTheSum(3, 1.0f, GridGradient);
  for (const auto consistency : {ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    for (int32_t servers = 1; servers <= 3; ++servers) {
      SCOPED_TRACE(absl::StrCat("consistency=", consistency, " K=", servers));
      RunSpec spec = GroupSpec(3, 1.0f);
      ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
      ps->set_consistency(consistency);
      ps->set_servers(servers);
      const std::vector<Floats> weights = Train(spec, GridGradient);
      for (int32_t rank = 0; rank < 3; ++rank) {
        for (int64_t i = 0; i < kCount; ++i) {
          // Weights that start off the grid round at every update; 60 roundings of values below 64.
          ASSERT_NEAR(weights[rank][i], expected[i], 60 * 64 * 0x1p-24) << "element " << i;
        }
        EXPECT_EQ(weights[rank], weights[0]) << "worker/" << rank;
      }
    }
  }
}

TEST(Strategies, ReplicasOfALossyAllReduceStayEqualAndNearTheExactOne) {
  const Floats exact = TrainOnTheSum(3, 0.05f, NormalGradient);
  for (const std::string& codec : LossyCodecs()) {
    for (const CollectiveInfo& collective : CollectiveChoices()) {
      SCOPED_TRACE(absl::StrCat(codec, " ", collective.name));
      RunSpec spec = GroupSpec(3, 0.05f);
      spec.mutable_strategy()->mutable_all_reduce()->set_collective(collective.name);
      ChooseCodec(codec, spec.mutable_codec());
      const std::vector<Floats> weights = Train(spec, NormalGradient);
      EXPECT_EQ(weights[1], weights[0]);
      EXPECT_EQ(weights[2], weights[0]);
      EXPECT_NE(weights[0], InitialWeights());
      EXPECT_NE(weights[0], exact);
    }
  }
}

TEST(Strategies, ALossyParameterServerGivesAllWorkersTheSameWeights) {
  for (const std::string& codec : LossyCodecs()) {
    SCOPED_TRACE(codec);
    RunSpec spec = GroupSpec(3, 0.05f);
    ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
    ps->set_servers(3);
    ChooseCodec(codec, spec.mutable_codec());
    const std::vector<Floats> weights = Train(spec, NormalGradient);
    EXPECT_EQ(weights[1], weights[0]);
    EXPECT_EQ(weights[2], weights[0]);
    EXPECT_NE(weights[0], InitialWeights());
  }
}

// The votes are counted by the server, the servers or every rank: the same weights as one worker
// has whose gradient is the majority's sign. Of two workers that disagree nobody wins.
TEST(Strategies, VotesAreCountedAlikeWhereverTheyAre) {
  for (const int32_t workers : {2, 3, 4}) {
    RunSpec alone = GroupSpec(1, 0.05f);
    alone.mutable_strategy()->mutable_solo();
    const Floats expected =
        Train(alone, [&](int32_t, int64_t step, const Bucket& bucket, absl::Span<float> out) {
          Floats votes(bucket.count, 0.0f), gradient(bucket.count);
          for (int32_t rank = 0; rank < workers; ++rank) {
            NormalGradient(rank, step, bucket, absl::MakeSpan(gradient));
            for (int64_t i = 0; i < bucket.count; ++i)
              votes[i] += std::signbit(gradient[i]) ? -1.0f : 1.0f;
          }
          for (int64_t i = 0; i < bucket.count; ++i)
            out[i] = votes[i] == 0 ? 0.0f : std::copysign(1.0f, votes[i]);
        })[0];
    for (const int32_t servers : {0, 1, 3}) {
      RunSpec spec = GroupSpec(workers, 0.05f);
      if (servers > 0) {
        spec.mutable_strategy()->mutable_parameter_server()->set_servers(servers);
      } else {
        spec.mutable_strategy()->mutable_all_reduce();
      }
      ChooseCodec("signsgd", spec.mutable_codec());
      for (const Floats& weights : Train(spec, NormalGradient))
        EXPECT_EQ(weights, expected) << servers << " servers, N=" << workers;
    }
  }
}

TEST(Strategies, TopKOfEverythingIsTheExactSum) {
  const Floats expected = TrainOnTheSum(3, 0.05f, GridGradient);
  for (const bool ps : {false, true}) {
    RunSpec spec = GroupSpec(3, 0.05f);
    if (ps) {
      spec.mutable_strategy()->mutable_parameter_server()->set_servers(2);
    } else {
      spec.mutable_strategy()->mutable_all_reduce();
    }
    spec.mutable_codec()->set_name("topk");
    spec.mutable_codec()->set_density(1.0);
    for (const Floats& weights : Train(spec, GridGradient)) EXPECT_EQ(weights, expected);
  }
}

}  // namespace
}  // namespace ringmaster
