// Every scheme is its definition, and every broken twin of one is found by the judge that the real
// one passes.

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/contract/schemes/scheme_judge.h"
#include "tests/contract/schemes/scheme_twins.h"
#include "tests/contract/schemes/shard_judges.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::StartsWith;

// Lossy codecs have twins of their own (tests/contract/codecs). Where a center on servers attracts
// workers, one is judged here; tests/worker/strategy/elastic_async_test.cc plays several, in the
// order of their arrivals.
bool IsJudged(const ArmUnderTest& arm) { return Exchanges(arm) && arm.codec.exact; }

// What the judge found; nothing where the run itself failed, which is no finding.
std::string Finding(const absl::Status& status) {
  if (status.ok()) return "nothing found";
  if (status.code() != absl::StatusCode::kFailedPrecondition) return status.ToString();
  return absl::StrCat("found: ", status.message());
}

class EveryArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Registry, EveryArm, testing::ValuesIn(ArmsThat(IsJudged)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryArm, IsItsDefinition) { EXPECT_EQ(Finding(JudgeScheme(GetParam())), "nothing found"); }

TEST_P(EveryArm, IsNotWithAMessageThatIsDoubled) {
  EXPECT_THAT(Finding(JudgeScheme(GetParam(), DoublesAMessage())), StartsWith("found: "));
}

TEST_P(EveryArm, IsNotWithAnUpdateThatAWorkerMakesTwice) {
  const std::string finding = Finding(JudgeScheme(GetParam(), AppliesAStepTwice()));
  const ArmUnderTest arm = DescribeArm(GetParam());
  if (arm.traits.weights == WeightHolder::kServers && arm.traits.local_steps == 0) {
    EXPECT_EQ(finding, "nothing found") << "its workers make no updates";
  } else {
    EXPECT_THAT(finding, StartsWith("found: "));
  }
}

// What follows from gradients and messages alone, codecs among it, follows again. Where updates are
// made as they come, and where the first of a step are, it depends on who is first.
TEST(Registry, RunsOfSchemesThatWaitForAllRepeatAndTheirReplicasAreEqualWhereTheyShouldBe) {
  for (const std::string& arm : ArmsThat(Exchanges)) {
    SCOPED_TRACE(arm);
    RunSpec spec = JudgedSpec(arm, 3, "sgd");
    if (DescribeArm(arm).codec.in_rounds)
      spec.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
    const auto first = RunScheme(spec), second = RunScheme(spec);
    ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
    const SchemeTraits traits = TraitsOf(spec);
    if (traits.updates == Updates::kTogether) {
      EXPECT_EQ(first->replicas, second->replicas);
      EXPECT_EQ(first->models, second->models);
    }
    for (int32_t rank = 1; rank < 3; ++rank) {
      EXPECT_EQ(first->models[rank], first->models[0]);
      EXPECT_EQ(first->replicas[rank] == first->replicas[0],
                traits.replicas != Replicas::kOnAverage);
    }
  }
}

// Of one group there is one inner collective, and nothing across.
TEST(Hierarchical, OfOneGroupHasTheBitsOfItsInnerCollectiveAndOfTwoGroupsOthers) {
  const auto replicas = [](RunSpec spec, int32_t group_size) {
    if (group_size > 0) spec.mutable_strategy()->mutable_all_reduce()->set_group_size(group_size);
    const auto run = RunScheme(spec);
    EXPECT_TRUE(run.ok()) << run.status();
    return run->replicas;
  };
  const auto ring = replicas(JudgedSpec("ring", 4, "momentum"), 0);
  EXPECT_EQ(replicas(JudgedSpec("hierarchical", 4, "momentum"), 4), ring);
  EXPECT_NE(replicas(JudgedSpec("hierarchical", 4, "momentum"), 2), ring);
}

TEST(SchemeTwins, AreFoundByTheJudgeThatTheRealOnesPass) {
  for (const SchemeTwin& twin : SchemeTwins()) {
    const std::string finding = Finding(JudgeScheme(twin.arm, twin.create));
    EXPECT_THAT(finding, StartsWith("found: ")) << twin.arm << ": " << twin.what;
    std::printf("%s, %s: %s\n", twin.arm.c_str(), twin.what.c_str(), finding.c_str());
  }
}

TEST(ShardTwins, AreFoundByTheJudgeThatTheRealShardPasses) {
  for (const ShardTwin& twin : ShardTwins()) {
    EXPECT_EQ(Finding(twin.judge(MakeShardCore)), "nothing found") << twin.arm;
    const std::string finding = Finding(twin.judge(twin.create));
    EXPECT_THAT(finding, StartsWith("found: ")) << twin.arm << ": " << twin.what;
    std::printf("%s, %s: %s\n", twin.arm.c_str(), twin.what.c_str(), finding.c_str());
  }
}

// What a twin of one arm of these has is nothing of another's: any partial sum may be wrong in it.
TEST(Twins, ThereAreOfEveryArmButOfThoseThatDifferInTheCollectiveAlone) {
  std::set<std::string> broken;
  for (const SchemeTwin& twin : SchemeTwins()) broken.insert(twin.arm);
  for (const ShardTwin& twin : ShardTwins()) broken.insert(twin.arm);
  for (const std::string& arm : ArmsThat(IsJudged)) {
    const bool is_sum = DescribeArm(arm).spec.strategy().has_all_reduce();
    EXPECT_TRUE(is_sum || broken.count(arm) > 0)
        << arm << " has no broken twin; write one in scheme_twins.cc";
  }
  for (const std::string& arm : broken) EXPECT_THAT(ArmsThat(IsJudged), testing::Contains(arm));
}

}  // namespace
}  // namespace ringmaster
