#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

constexpr int32_t kWorkers = 4;

RunSpec ArmOf(const char* name) {
  RunSpec base;
  base.mutable_training()->set_workers(kWorkers);
  base.mutable_training()->set_steps(1);
  return *Resolve(*MakeArm(name, base), {});
}

// What a table of the arms says of each.
struct Expected {
  const char* scheme;
  int32_t workers;
  int32_t servers;
  bool beside;
  int32_t processes;
  Replicas replicas;
  Updates updates;
  const char* collective;
  const char* engine;
};

constexpr Replicas kStep = Replicas::kEqualAfterStep;
constexpr Replicas kDrain = Replicas::kEqualAfterDrain;
constexpr Replicas kAround = Replicas::kOnAverage;
constexpr Updates kTogether = Updates::kTogether;
constexpr Updates kOnArrival = Updates::kOnArrival;

const std::map<std::string, Expected>& Table() {
  static const auto& table = *new std::map<std::string, Expected>{
      {"single", {"single", 1, 0, false, 1, kStep, kTogether, "", ""}},
      {"solo", {"solo", 4, 0, false, 4, Replicas::kIndependent, kTogether, "", ""}},
      {"dp", {"parameter_server", 4, 1, true, 1, kStep, kTogether, "", ""}},
      {"ps", {"parameter_server", 4, 1, false, 5, kStep, kTogether, "", ""}},
      {"ps-sharded", {"parameter_server", 4, 4, true, 4, kStep, kTogether, "", ""}},
      {"ssp", {"parameter_server", 4, 1, false, 5, kDrain, kOnArrival, "", ""}},
      {"ring", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "ring", ""}},
      {"async", {"parameter_server", 4, 1, false, 5, kDrain, kOnArrival, "", ""}},
      {"async-topk", {"parameter_server", 4, 1, false, 5, kDrain, kOnArrival, "", ""}},
      {"backup", {"parameter_server", 4, 1, false, 5, kDrain, kTogether, "", ""}},
      {"geo", {"parameter_server", 4, 1, false, 5, kDrain, kOnArrival, "", ""}},
      {"dc-async", {"parameter_server", 4, 1, false, 5, kDrain, kOnArrival, "", ""}},
      {"direct", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "direct", ""}},
      {"reduce-broadcast",
       {"all_reduce", 4, 0, false, 4, kStep, kTogether, "reduce_broadcast", ""}},
      {"halving-doubling",
       {"all_reduce", 4, 0, false, 4, kStep, kTogether, "halving_doubling", ""}},
      {"binomial-tree", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "binomial_tree", ""}},
      {"recursive-doubling",
       {"all_reduce", 4, 0, false, 4, kStep, kTogether, "recursive_doubling", ""}},
      {"hierarchical", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "hierarchical", ""}},
      {"double-binary-tree",
       {"all_reduce", 4, 0, false, 4, kStep, kTogether, "double_binary_tree", ""}},
      {"sharded-optimizer", {"sharded_optimizer", 4, 0, false, 4, kStep, kTogether, "ring", ""}},
      {"delayed", {"delayed", 4, 0, false, 4, kStep, kTogether, "ring", ""}},
      {"all-reduce-auto", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "auto", ""}},
      {"all-reduce-mpi", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "", "mpi"}},
      {"all-reduce-mpich", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "", "mpich"}},
      {"all-reduce-gloo", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "", "gloo"}},
      {"all-reduce-cuda-ipc", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "", "cuda_ipc"}},
      {"ring-fp16", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "ring", ""}},
      {"ring-topk", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "ring", ""}},
      {"ring-powersgd", {"all_reduce", 4, 0, false, 4, kStep, kTogether, "ring", ""}},
      {"ps-fp16", {"parameter_server", 4, 1, false, 5, kStep, kTogether, "", ""}},
      {"ps-onebit", {"parameter_server", 4, 1, false, 5, kStep, kTogether, "", ""}},
      {"local-sgd", {"local_sgd", 4, 0, false, 4, kDrain, kTogether, "ring", ""}},
      {"diloco", {"local_sgd", 4, 0, false, 4, kDrain, kTogether, "ring", ""}},
      {"gossip", {"gossip", 4, 0, false, 4, kAround, kTogether, "", ""}},
      {"gossip-exponential", {"gossip", 4, 0, false, 4, kAround, kTogether, "", ""}},
      {"easgd", {"elastic", 4, 0, false, 4, kAround, kTogether, "ring", ""}},
      {"easgd-async", {"elastic", 4, 1, false, 5, kAround, kOnArrival, "", ""}},
  };
  return table;
}

TEST(SchemeTraits, OfEveryArmAreThoseOfTheTable) {
  for (const ArmInfo& arm : Arms()) {
    SCOPED_TRACE(arm.name);
    const auto found = Table().find(arm.name);
    ASSERT_TRUE(found != Table().end());
    const Expected& expected = found->second;
    const RunSpec spec = ArmOf(arm.name);
    const SchemeTraits traits = TraitsOf(spec);
    EXPECT_STREQ(FindScheme(spec.strategy())->name, expected.scheme);
    EXPECT_EQ(traits.workers, expected.workers);
    EXPECT_EQ(traits.servers, expected.servers);
    EXPECT_EQ(traits.servers_beside_workers, expected.beside);
    EXPECT_EQ(traits.processes, expected.processes);
    EXPECT_EQ(traits.replicas, expected.replicas);
    EXPECT_EQ(traits.updates, expected.updates);
    EXPECT_EQ(traits.collective, expected.collective);
    EXPECT_EQ(traits.engine, expected.engine);
    // What goes with it.
    EXPECT_EQ(traits.sums_in_rounds, std::string(expected.scheme) == "all_reduce");
    EXPECT_EQ(traits.weights,
              expected.servers > 0 ? WeightHolder::kServers : WeightHolder::kWorkers);
    const bool is_solo = std::string(arm.name) == "solo",
               is_single = std::string(arm.name) == "single";
    // Who updates alone divides by its own batches; what it exchanges are weights, or how far it
    // has come.
    const bool exchanges_weights = traits.exchanged != Exchanged::kGradients;
    EXPECT_EQ(
        exchanges_weights,
        expected.servers == 0 &&
            std::set<std::string>({"local_sgd", "gossip", "elastic"}).count(expected.scheme) > 0);
    const bool alone = is_solo || exchanges_weights || traits.local_steps > 0;
    EXPECT_EQ(traits.divisor, alone ? Divisor::kOwnBatches : Divisor::kAllBatches);
    EXPECT_EQ(traits.gossip.has_value(), std::string(expected.scheme) == "gossip");
    const bool is_elastic = std::string(arm.name) == "easgd-async";
    EXPECT_EQ(traits.local_steps, is_elastic ? 10 : std::string(arm.name) == "geo" ? 4 : 0);
    EXPECT_EQ(traits.attraction, is_elastic ? 0.9 / kWorkers : 0);
    EXPECT_EQ(traits.backup_workers, std::string(arm.name) == "backup" ? 1 : 0);
    EXPECT_EQ(traits.compensates_delay, std::string(arm.name) == "dc-async");
    EXPECT_EQ(traits.yardstick, is_solo     ? Yardstick::kEfficiency
                                : is_single ? Yardstick::kSpeedUp
                                            : Yardstick::kNone);
    EXPECT_EQ(traits.exchanges, !is_solo && !is_single);
    const bool claims = traits.updates == kOnArrival && std::string(arm.name) != "ssp";
    EXPECT_EQ(traits.work, claims ? Work::kClaimed : Work::kDealt);
    EXPECT_EQ(traits.staleness_bound.has_value(), std::string(arm.name) == "ssp");
    EXPECT_EQ(traits.delay, std::string(arm.name) == "delayed" ? 1 : 0);
    EXPECT_EQ(traits.updated != nullptr, (expected.servers > 0 && traits.local_steps == 0) ||
                                             std::string(arm.name) == "sharded-optimizer");
    EXPECT_EQ(traits.group_size, std::string(arm.name) == "hierarchical" ? 2 : 0);
  }
  EXPECT_EQ(Arms().size(), Table().size());
}

TEST(SchemeTraits, TheStalenessBoundIsTheSpecs) {
  RunSpec spec = ArmOf("ssp");
  spec.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(7);
  EXPECT_EQ(TraitsOf(spec).staleness_bound, 7);
}

TEST(SchemeTraits, WorkIsTheSpecsToSayWhereUpdatesComeWithoutABound) {
  RunSpec base;
  base.mutable_training()->set_workers(kWorkers);
  base.mutable_training()->set_steps(10);
  base.mutable_strategy()->set_work(StrategySpec::DEALT);
  const auto spec = Resolve(*MakeArm("async", base), {});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(TraitsOf(*spec).work, Work::kDealt);
}

TEST(SchemeTraits, WorkCannotBeClaimedWhereWorkersWaitForEachOther) {
  for (const ArmInfo& arm : Arms()) {
    RunSpec spec = ArmOf(arm.name);
    spec.mutable_strategy()->set_work(StrategySpec::CLAIMED);
    const SchemeTraits traits = TraitsOf(spec);
    const bool may = traits.updates == Updates::kOnArrival && !traits.staleness_bound.has_value();
    Problems problems;
    CheckStrategy(spec, &problems);
    const std::string text(problems.ToStatus().message());
    EXPECT_EQ(text.find("strategy.work = CLAIMED") == std::string::npos, may) << arm.name << text;
  }
}

TEST(SchemeTraits, AFileOfBatchesNeedsEqualSteps) {
  RunSpec spec = ArmOf("async");
  spec.mutable_output()->set_dump_batches("folder");
  Problems problems;
  CheckStrategy(spec, &problems);
  EXPECT_NE(problems.ToStatus().message().find("set strategy.work=DEALT"), std::string::npos);
}

TEST(SchemeTraits, TheirViewsOutliveTheSpec) {
  SchemeTraits traits;
  {
    const RunSpec spec = ArmOf("halving-doubling");
    traits = TraitsOf(spec);
  }
  EXPECT_EQ(traits.collective, "halving_doubling");
}

TEST(SchemeTraits, WithoutASchemeThereAreWorkersThatExchangeNothing) {
  RunSpec spec;
  spec.mutable_training()->set_workers(3);
  const SchemeTraits traits = TraitsOf(spec);
  EXPECT_EQ(traits.workers, 3);
  EXPECT_EQ(traits.servers, 0);
  EXPECT_FALSE(traits.exchanges);
}

TEST(Schemes, EachHasAnEntryOfTheSpecsOneofAndEachEntryHasOne) {
  const auto* kind = StrategySpec::descriptor()->FindOneofByName("kind");
  EXPECT_EQ(static_cast<int>(Schemes().size()), kind->field_count());
  for (const Scheme* scheme : Schemes()) {
    SCOPED_TRACE(scheme->name);
    const auto* field = StrategySpec::descriptor()->FindFieldByName(scheme->name);
    ASSERT_NE(field, nullptr);
    EXPECT_EQ(field->containing_oneof(), kind);
    EXPECT_EQ(FindScheme(absl::string_view(scheme->name)), scheme);
    StrategySpec strategy;
    strategy.GetReflection()->MutableMessage(&strategy, field);
    EXPECT_EQ(FindScheme(strategy), scheme);
  }
}

TEST(Schemes, NoTwoArmsHaveOnePlaceOrName) {
  std::set<int32_t> places;
  std::set<std::string> names;
  for (const ArmInfo& arm : Arms()) {
    EXPECT_TRUE(places.insert(arm.place).second) << arm.name;
    EXPECT_TRUE(names.insert(arm.name).second) << arm.name;
  }
}

TEST(Schemes, ASpecWithoutOneGetsTheCentralServer) {
  StrategySpec strategy;
  ResolveStrategy(kWorkers, &strategy);
  EXPECT_EQ(strategy.launch(), PROCESSES);
  EXPECT_EQ(strategy.parameter_server().servers(), 1);
  EXPECT_EQ(strategy.parameter_server().consistency(), ParameterServerSpec::BSP);
}

TEST(Schemes, AStrategyThatIsNotSetIsToldAllNames) {
  Problems problems;
  CheckStrategy(RunSpec(), &problems);
  EXPECT_EQ(problems.ToStatus().message(),
            "strategy = (none): set one of single, solo, parameter_server, all_reduce, local_sgd, "
            "elastic, gossip, sharded_optimizer, delayed");
}

TEST(Arms, OfTheBaseOnlyWhatTheyLeaveOpenIsKept) {
  RunSpec base;
  base.mutable_training()->set_workers(kWorkers);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(3);
  base.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(5);
  base.mutable_strategy()->mutable_parameter_server()->set_consistency(ParameterServerSpec::SSP);
  base.mutable_codec()->set_name("topk");
  base.mutable_codec()->set_density(0.5);
  const auto server = [&](const char* arm) {
    return MakeArm(arm, base)->strategy().parameter_server();
  };
  EXPECT_EQ(server("ps").servers(), 3);
  EXPECT_EQ(server("ps").consistency(), ParameterServerSpec::BSP);
  EXPECT_FALSE(server("ps").has_staleness_bound());
  EXPECT_EQ(server("ssp").staleness_bound(), 5);
  EXPECT_EQ(server("ssp").servers(), 3);
  EXPECT_EQ(server("dp").servers(), 1);
  EXPECT_FALSE(server("ps-sharded").has_servers());
  EXPECT_EQ(MakeArm("ring-topk", base)->codec().density(), 0.5);
  EXPECT_EQ(MakeArm("async-topk", base)->codec().density(), 0.5);
  EXPECT_FALSE(MakeArm("ring", base)->codec().has_density());
  EXPECT_FALSE(MakeArm("ssp", RunSpec())->strategy().parameter_server().has_staleness_bound());
}

}  // namespace
}  // namespace ringmaster
