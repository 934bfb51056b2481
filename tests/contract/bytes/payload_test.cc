// What a worker sends and receives is the formula, to the byte, for every strategy, collective and
// codec of the registries: new ones are tested here by being registered.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/collective/schedule.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/bytes/bent_transport.h"
#include "tests/contract/bytes/payload_check.h"

namespace ringmaster {
namespace {

constexpr int64_t kSteps = 3;
constexpr int32_t kWorkersMax = 8;

// Buckets of 101, 101, 101 and 2 elements; of 5, 5 and 1: sizes that do not divide, and smaller
// than N.
struct Sizes {
  int64_t count;
  int64_t bucket_elements;
};
constexpr Sizes kSizes[] = {{305, 101}, {11, 5}};

struct Arm {
  std::string name;
  StrategySpec strategy;
};

Arm ServerArm(ParameterServerSpec::Consistency consistency,
              ParameterServerSpec::Placement placement, int32_t servers) {
  Arm arm;
  arm.name = absl::StrCat(ParameterServerSpec::Consistency_Name(consistency), " ",
                          ParameterServerSpec::Placement_Name(placement), " K=", servers);
  ParameterServerSpec* ps = arm.strategy.mutable_parameter_server();
  ps->set_consistency(consistency);
  ps->set_placement(placement);
  ps->set_servers(servers);
  return arm;
}

std::vector<Arm> AllReduceArms() {
  std::vector<Arm> arms;
  for (const CollectiveInfo& info : Collectives()) {
    Arm arm;
    arm.name = info.name;
    arm.strategy.mutable_all_reduce()->set_collective(info.name);
    arms.push_back(arm);
  }
  return arms;
}

std::vector<Arm> ServerArms(int32_t workers) {
  std::vector<Arm> arms;
  for (const auto consistency :
       {ParameterServerSpec::BSP, ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    arms.push_back(ServerArm(consistency, ParameterServerSpec::DEDICATED, 1));
    arms.push_back(ServerArm(consistency, ParameterServerSpec::DEDICATED, 3));
    arms.push_back(ServerArm(consistency, ParameterServerSpec::COLOCATED, workers));
  }
  return arms;
}

RunSpec SpecOf(const Arm& arm, const std::string& codec, int32_t workers) {
  RunSpec spec = GroupSpec(workers, 0.01f);
  *spec.mutable_strategy() = arm.strategy;
  spec.mutable_codec()->set_name(codec);
  return spec;
}

// Returns the runs made.
int CheckArm(const Arm& arm, int32_t workers) {
  int runs = 0;
  for (const CodecInfo& codec : Codecs()) {
    for (const Sizes& sizes : kSizes) {
      SCOPED_TRACE(
          absl::StrCat(arm.name, " ", codec.name, " N=", workers, " ", sizes.count, " elements"));
      StrategyGroup group(SpecOf(arm, codec.name, workers), std::vector<float>(sizes.count, 1.0f),
                          sizes.bucket_elements);
      EXPECT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
      EXPECT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus());
      ++runs;
    }
  }
  return runs;
}

TEST(Payload, OfEveryCollectiveAndCodecIsTheFormulaForOneToEightWorkers) {
  int runs = 0;
  for (const Arm& arm : AllReduceArms()) {
    for (int32_t workers = 1; workers <= kWorkersMax; ++workers) runs += CheckArm(arm, workers);
  }
  std::printf("%d runs\n", runs);
}

TEST(Payload, OfEveryServerArmAndCodecIsTheFormulaForOneToEightWorkers) {
  int runs = 0;
  for (int32_t workers = 1; workers <= kWorkersMax; ++workers) {
    for (const Arm& arm : ServerArms(workers)) runs += CheckArm(arm, workers);
  }
  std::printf("%d runs\n", runs);
}

// The two tests above know these; a strategy that is new to the registry needs arms of its own
// there.
TEST(Payload, IsTestedForEveryStrategyOfTheRegistry) {
  std::vector<std::string> names;
  for (const Scheme* scheme : Schemes()) names.push_back(scheme->name);
  EXPECT_THAT(names,
              testing::UnorderedElementsAre("single", "solo", "parameter_server", "all_reduce"));
}

TEST(Payload, OfStrategiesThatExchangeNothingIsNothing) {
  Arm solo;
  solo.strategy.mutable_solo();
  StrategyGroup group(SpecOf(solo, "none", 3), std::vector<float>(305, 1.0f), 101);
  ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
  EXPECT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus());
  for (int32_t rank = 0; rank < 3; ++rank)
    EXPECT_EQ(SentInSteps(group.worker(rank).traffic()).messages, 0);
}

// All ranks together: the ring's bytes, the direct exchange's and those of N co-located servers.
TEST(Payload, OfRingDirectAndCoLocatedServersIsTheSameInTotal) {
  constexpr int32_t kWorkers = 5;
  std::vector<Arm> arms = AllReduceArms();
  arms.push_back(ServerArm(ParameterServerSpec::BSP, ParameterServerSpec::COLOCATED, kWorkers));
  for (const Arm& arm : arms) {
    if (arm.strategy.all_reduce().collective() == "recursive_doubling")
      continue;  // whole buckets in every round
    StrategyGroup group(SpecOf(arm, "none", kWorkers), std::vector<float>(305, 1.0f), 101);
    ASSERT_EQ(RunSteps(&group, 1), absl::OkStatus());
    int64_t sent = 0;
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      const Traffic traffic = group.worker(rank).traffic();
      sent += SentInSteps(traffic).payload_bytes;
      // What co-located servers send is metered by the workers that get it.
      if (arm.strategy.has_parameter_server()) sent += ReceivedInSteps(traffic).payload_bytes;
    }
    EXPECT_EQ(sent, 2 * (kWorkers - 1) * 305 * 4) << arm.name;
  }
}

TEST(PayloadCheck, FindsASegmentTooMany) {
  std::vector<Arm> arms = AllReduceArms();
  arms.push_back(ServerArm(ParameterServerSpec::BSP, ParameterServerSpec::DEDICATED, 1));
  for (const Arm& arm : arms) {
    GroupOptions options;
    options.above_meter = OneSegmentMore(1);
    StrategyGroup group(SpecOf(arm, "none", 3), std::vector<float>(305, 1.0f), 101, options);
    ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
    const absl::Status status = CheckGroupPayload(&group, kSteps);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("worker/0 up")) << arm.name;
  }
}

TEST(PayloadCheck, FindsAStepTooFewAndAnotherCodec) {
  Arm ring = AllReduceArms().front();
  StrategyGroup group(SpecOf(ring, "topk", 3), std::vector<float>(305, 1.0f), 101);
  ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
  EXPECT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus());
  EXPECT_FALSE(CheckGroupPayload(&group, kSteps - 1).ok());
}

}  // namespace
}  // namespace ringmaster
