// What a worker sends and receives is the formula, to the byte, for every strategy, collective and
// codec of the registries: new ones are tested here by being registered.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/collective/schedule.h"
#include "common/scheme/registry.h"
#include "experiments/proof/verify/payload_formula.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
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

Arm DelayedArm() {
  Arm arm;
  arm.name = "delayed";
  arm.strategy.mutable_delayed();
  return arm;
}

Arm ShardedOptimizerArm() {
  Arm arm;
  arm.name = "sharded_optimizer";
  arm.strategy.mutable_sharded_optimizer();
  return arm;
}

std::vector<Arm> ServerArms(int32_t workers) {
  std::vector<Arm> arms;
  for (const auto consistency :
       {ParameterServerSpec::BSP, ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    arms.push_back(ServerArm(consistency, ParameterServerSpec::DEDICATED, 1));
    arms.push_back(ServerArm(consistency, ParameterServerSpec::DEDICATED, 3));
    arms.push_back(ServerArm(consistency, ParameterServerSpec::COLOCATED, workers));
  }
  Arm alone = ServerArm(ParameterServerSpec::ASYNCHRONOUS, ParameterServerSpec::DEDICATED, 3);
  alone.name += " in twos";
  alone.strategy.mutable_parameter_server()->set_local_steps(2);
  arms.push_back(alone);
  if (workers == 1) return arms;
  Arm backup = ServerArm(ParameterServerSpec::BSP, ParameterServerSpec::COLOCATED, workers);
  backup.name += " with a backup";
  backup.strategy.mutable_parameter_server()->set_backup_workers(1);
  arms.push_back(backup);
  return arms;
}

// Of workers that exchange weights: in all steps, in some, and gradients in some and weights later.
std::vector<Arm> WeightArms() {
  std::vector<Arm> arms;
  const auto add = [&](const std::string& name) {
    arms.emplace_back().name = name;
    return &arms.back().strategy;
  };
  for (const CollectiveInfo& info : Collectives()) {
    LocalSgdSpec* local = add(absl::StrCat("local ", info.name))->mutable_local_sgd();
    local->set_collective(info.name);
    local->set_local_steps(2);
    ElasticSpec* elastic = add(absl::StrCat("elastic ", info.name))->mutable_elastic();
    elastic->set_collective(info.name);
    elastic->set_period(1);
  }
  LocalSgdSpec* warm = add("local after 1")->mutable_local_sgd();
  warm->set_synchronous_steps(1);
  warm->set_local_steps(1);
  add("local of 5")->mutable_local_sgd()->set_local_steps(5);
  add("elastic of 2")->mutable_elastic()->set_period(2);
  for (const int32_t servers : {1, 3}) {
    StrategySpec* strategy = add(absl::StrCat("elastic, asynchronous, K=", servers));
    strategy->set_work(StrategySpec::DEALT);
    strategy->mutable_elastic()->set_mode(ElasticSpec::ASYNCHRONOUS);
    strategy->mutable_elastic()->set_period(3);
    strategy->mutable_elastic()->set_servers(servers);
  }
  for (const auto graph : {GossipSpec::RING, GossipSpec::ONE_PEER_EXPONENTIAL}) {
    for (const int32_t every : {1, 2}) {
      GossipSpec* gossip =
          add(absl::StrCat(GossipSpec::Graph_Name(graph), " ", every))->mutable_gossip();
      gossip->set_graph(graph);
      gossip->set_every_steps(every);
    }
  }
  return arms;
}

RunSpec SpecOf(const Arm& arm, const std::string& codec, int32_t workers) {
  RunSpec spec = GroupSpec(workers, 0.01f);
  *spec.mutable_strategy() = arm.strategy;
  spec.mutable_codec()->set_name(codec);
  return spec;
}

// Returns the runs made: with every codec that the arm takes.
int CheckArm(const Arm& arm, int32_t workers) {
  int runs = 0;
  for (const CodecInfo& codec : Codecs()) {
    if (arm.strategy.has_sharded_optimizer() && !codec.traits.exact) continue;
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

TEST(Payload, OfTheAllReducesOfOtherSchemesIsTheFormulaForOneToEightWorkers) {
  int runs = 0;
  for (const Arm& arm : {DelayedArm(), ShardedOptimizerArm()}) {
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

// Lengths that follow from the step or from the values: those that encoders report are what meters
// count, and warm-ups and ramps are in the formula.
TEST(Payload, OfLengthsThatFollowFromStepOrValuesIsTheFormulaOrWhatEncodersReport) {
  std::vector<CodecSpec> codecs;
  for (const char* text : {
           "name: 'topk' density: 0.1 rice_indices: true error_feedback: true",
           "name: 'topk' density: 0.1 rice_indices: true two_bit_values: true chunk: 16",
           "name: 'topk' density: 0.1 warmup_steps: 2 error_feedback: true",
           "name: 'topk' density: 0.1 min_tensor_elements: 1000 error_feedback: true",
           "name: 'threshold' threshold: 0.0009 error_feedback: true",
           "name: 'threshold' threshold: 0.0009 warmup_steps: 1",
           "name: 'dgc' density: 0.01 error_feedback: true dgc { ramp_steps: 4 }",
       }) {
    CodecSpec codec;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &codec));
    SetCodecDefaults(&codec);
    codecs.push_back(codec);
  }
  Arm ring;
  ring.name = "ring";
  ring.strategy.mutable_all_reduce()->set_collective("ring");
  for (const Arm& arm :
       {ring, ServerArm(ParameterServerSpec::BSP, ParameterServerSpec::COLOCATED, 3),
        ServerArm(ParameterServerSpec::ASYNCHRONOUS, ParameterServerSpec::DEDICATED, 2)}) {
    for (const CodecSpec& codec : codecs) {
      SCOPED_TRACE(absl::StrCat(arm.name, " ", codec.ShortDebugString()));
      RunSpec spec = SpecOf(arm, codec.name(), 3);
      *spec.mutable_codec() = codec;
      StrategyGroup group(spec, std::vector<float>(305, 1.0f), 101);
      ASSERT_EQ(RunSteps(&group, 6), absl::OkStatus());
      EXPECT_EQ(CheckGroupPayload(&group, 6), absl::OkStatus());
      // Of all that was sent an encoder has told.
      for (int32_t rank = 0; rank < 3; ++rank)
        EXPECT_EQ(SentInSteps(group.worker(rank).traffic()).payload_bytes,
                  group.encoded_bytes()[rank]);
    }
  }
}

// What servers send: encodings of fixed length by the formula, others by what servers report, below
// the formula's limit.
TEST(Payload, OfWeightsThatComeAsEncodedDifferencesIsTheFormulaOrWhatServersReport) {
  int variable = 0;
  for (const int32_t workers : {1, 3}) {
    for (const Arm& arm : ServerArms(workers)) {
      for (const CodecInfo& codec : Codecs()) {
        if (codec.traits.majority_vote || codec.traits.memory_floats > 0) continue;
        SCOPED_TRACE(absl::StrCat(arm.name, " N=", workers, " ", codec.name));
        RunSpec spec = SpecOf(arm, "none", workers);
        CodecSpec* const down =
            spec.mutable_strategy()->mutable_parameter_server()->mutable_down_codec();
        down->set_name(codec.name);
        if (FindOption(codec, "threshold") != nullptr) down->set_threshold(1e-6);
        StrategyGroup group(spec, std::vector<float>(305, 1.0f), 101);
        ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
        ASSERT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus());
        if (codec.traits.exact) continue;
        variable += codec.traits.fixed_size ? 0 : 1;
        const int64_t received = ReceivedInSteps(group.worker(workers - 1).traffic()).payload_bytes;
        // A late worker has skipped some.
        const int64_t steps = kSteps - group.worker(workers - 1).skipped();
        const int64_t limit =
            PayloadFormula(group.spec(), group.layout(), workers - 1, steps)->down;
        EXPECT_TRUE(codec.traits.fixed_size ? received == limit : received <= limit);
        if (codec.traits.fixed_size && limit > 0) {
          EXPECT_FALSE(CheckGroupPayload(&group, kSteps - 1).ok());
        }
      }
    }
  }
  EXPECT_GT(variable, 0);
}

TEST(Payload, OfEveryArmThatExchangesWeightsIsTheFormulaForOneToEightWorkers) {
  for (int32_t workers = 1; workers <= kWorkersMax; ++workers) {
    for (const Arm& arm : WeightArms()) {
      for (const Sizes& sizes : kSizes) {
        SCOPED_TRACE(absl::StrCat(arm.name, " N=", workers, " ", sizes.count, " elements"));
        StrategyGroup group(SpecOf(arm, "none", workers), std::vector<float>(sizes.count, 1.0f),
                            sizes.bucket_elements);
        EXPECT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
        EXPECT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus());
      }
    }
  }
}

TEST(PayloadCheck, FindsAnExchangeTooManyOfArmsThatExchangeNowAndThen) {
  for (const Arm& arm : WeightArms()) {
    StrategyGroup group(SpecOf(arm, "none", 3), std::vector<float>(305, 1.0f), 101);
    ASSERT_EQ(RunSteps(&group, 10), absl::OkStatus());
    EXPECT_EQ(CheckGroupPayload(&group, 10), absl::OkStatus()) << arm.name;
    EXPECT_FALSE(CheckGroupPayload(&group, 9).ok()) << arm.name;
  }
}

// The tests above know these; a strategy that is new to the registry needs arms of its own
// there.
TEST(Payload, IsTestedForEveryStrategyOfTheRegistry) {
  std::vector<std::string> names;
  for (const Scheme* scheme : Schemes()) names.push_back(scheme->name);
  EXPECT_THAT(names, testing::UnorderedElementsAre("single", "solo", "parameter_server",
                                                   "all_reduce", "local_sgd", "elastic", "gossip",
                                                   "sharded_optimizer", "delayed"));
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
  arms.push_back(ShardedOptimizerArm());
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

TEST(PayloadCheck, FindsASegmentThatNoEncoderHasReported) {
  GroupOptions options;
  options.above_meter = OneSegmentMore(1);
  StrategyGroup group(SpecOf(AllReduceArms().front(), "threshold", 3),
                      std::vector<float>(305, 1.0f), 101, options);
  ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
  EXPECT_THAT(std::string(CheckGroupPayload(&group, kSteps).message()),
              testing::HasSubstr("worker/0 up"));
}

TEST(PayloadCheck, FindsEncodersThatReportMoreThanTheLimit) {
  const RunSpec spec = SpecOf(AllReduceArms().front(), "threshold", 3);
  StrategyGroup group(spec, std::vector<float>(305, 1.0f), 101);
  ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
  const Payload limit = *PayloadFormula(group.spec(), group.layout(), 0, kSteps);
  std::vector<EncodedSums> sums(3, {limit.up, 0});
  EXPECT_EQ(ExpectedPayload(group.spec(), group.layout(), 0, kSteps, sums)->down, limit.down);
  sums[0].up += 1;
  EXPECT_THAT(
      std::string(
          ExpectedPayload(group.spec(), group.layout(), 0, kSteps, sums).status().message()),
      testing::HasSubstr("the formula's limits are"));
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
