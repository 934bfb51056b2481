// What a user may ask of the schemes whose workers exchange weights, and what is refused: one error
// each, with what to take instead.
#include <cmath>
#include <string>
#include <vector>

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

RunSpec ArmOf(const std::string& name) {
  RunSpec base;
  base.mutable_training()->set_workers(kWorkers);
  base.mutable_training()->set_steps(1);
  return *Resolve(*MakeArm(name, base), {});
}

// The scheme's own complaints, a line each.
std::string Complaints(const RunSpec& spec) {
  Problems problems;
  CheckStrategy(spec, &problems);
  return std::string(problems.ToStatus().message());
}

TEST(WeightSchemes, TheirDefaultsAreThoseOfTheirPapersAndAreLegal) {
  const LocalSgdSpec local = ArmOf("local-sgd").strategy().local_sgd();
  EXPECT_EQ(local.local_steps(), 8);
  EXPECT_EQ(local.synchronous_steps(), 0);
  EXPECT_EQ(local.outer_optimizer(), "none");
  const LocalSgdSpec diloco = ArmOf("diloco").strategy().local_sgd();
  EXPECT_EQ(diloco.outer_learning_rate(), 0.7f);
  EXPECT_EQ(diloco.outer_momentum(), 0.9f);
  EXPECT_EQ(ArmOf("easgd").strategy().elastic().alpha(), 0.9 / kWorkers);
  EXPECT_EQ(ArmOf("easgd-async").strategy().elastic().alpha(), 0.9 / kWorkers);
  EXPECT_EQ(ArmOf("easgd-async").strategy().elastic().servers(), 1);
  for (const std::string arm :
       {"local-sgd", "diloco", "gossip", "gossip-exponential", "easgd", "easgd-async"}) {
    EXPECT_EQ(Complaints(ArmOf(arm)), "") << arm;
  }
  RunSpec sgd = ArmOf("local-sgd");
  sgd.mutable_strategy()->mutable_local_sgd()->set_outer_optimizer("sgd");
  ResolveStrategy(kWorkers, sgd.mutable_strategy());
  EXPECT_EQ(sgd.strategy().local_sgd().outer_learning_rate(), 1.0f);
  EXPECT_FALSE(sgd.strategy().local_sgd().has_outer_momentum());
  EXPECT_EQ(Complaints(sgd), "");
}

TEST(WeightSchemes, EachBadSettingIsOneErrorThatSaysWhatToDo) {
  struct Case {
    std::string arm;
    void (*spoil)(StrategySpec* strategy);
    std::string complaint;
  };
  const std::vector<Case> cases = {
      {"local-sgd", [](StrategySpec* s) { s->mutable_local_sgd()->set_local_steps(0); },
       "strategy.local_sgd.local_steps = 0: expected 1"},
      {"local-sgd", [](StrategySpec* s) { s->mutable_local_sgd()->set_synchronous_steps(-1); },
       "strategy.local_sgd.synchronous_steps = -1: expected 0"},
      {"local-sgd", [](StrategySpec* s) { s->mutable_local_sgd()->set_collective("mpi"); },
       "strategy.local_sgd.collective = \"mpi\": no such collective"},
      {"local-sgd", [](StrategySpec* s) { s->mutable_local_sgd()->set_outer_learning_rate(1); },
       "leave it out, or set outer_optimizer"},
      {"local-sgd", [](StrategySpec* s) { s->mutable_local_sgd()->set_outer_momentum(0.9f); },
       "only for outer_optimizer \"nesterov\""},
      {"diloco", [](StrategySpec* s) { s->mutable_local_sgd()->set_outer_momentum(1); },
       "from 0 to below 1"},
      {"diloco", [](StrategySpec* s) { s->mutable_local_sgd()->set_outer_learning_rate(-1); },
       "expected a number above 0"},
      {"easgd", [](StrategySpec* s) { s->mutable_elastic()->set_alpha(0); }, "at most 1/N = 0.25"},
      {"easgd", [](StrategySpec* s) { s->mutable_elastic()->set_alpha(0.251); },
       "at most 1/N = 0.25"},
      {"easgd", [](StrategySpec* s) { s->mutable_elastic()->set_period(0); },
       "strategy.elastic.period = 0: expected 1"},
      {"easgd", [](StrategySpec* s) { s->mutable_elastic()->set_servers(1); },
       "only for mode ASYNCHRONOUS"},
      {"easgd-async", [](StrategySpec* s) { s->mutable_elastic()->set_alpha(0); },
       "strategy.elastic.alpha = 0: expected a number above 0 and below 1"},
      {"easgd-async", [](StrategySpec* s) { s->mutable_elastic()->set_alpha(1 - 1e-12); },
       "above 0 and below 1"},
      {"easgd-async", [](StrategySpec* s) { s->mutable_elastic()->set_alpha(NAN); },
       "above 0 and below 1"},
      {"easgd-async", [](StrategySpec* s) { s->mutable_elastic()->set_servers(0); },
       "strategy.elastic.servers = 0: expected 1"},
      {"easgd-async", [](StrategySpec* s) { s->mutable_elastic()->set_collective("ring"); },
       "only for mode SYNCHRONOUS"},
      {"easgd-async", [](StrategySpec* s) { s->mutable_elastic()->set_period(0); },
       "strategy.elastic.period = 0: expected 1"},
      {"gossip", [](StrategySpec* s) { s->mutable_gossip()->set_every_steps(0); },
       "strategy.gossip.every_steps = 0: expected 1"},
  };
  for (const Case& c : cases) {
    RunSpec spec = ArmOf(c.arm);
    c.spoil(spec.mutable_strategy());
    const std::string text = Complaints(spec);
    EXPECT_THAT(text, HasSubstr(c.complaint)) << c.arm;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(WeightSchemes, TakeNoLossyCodec) {
  for (const std::string arm : {"local-sgd", "diloco", "gossip", "easgd", "easgd-async"}) {
    RunSpec spec = ArmOf(arm);
    spec.mutable_codec()->set_name("topk");
    EXPECT_THAT(Complaints(spec), HasSubstr("codec.name = \"topk\": is lossy")) << arm;
  }
}

}  // namespace
}  // namespace ringmaster
