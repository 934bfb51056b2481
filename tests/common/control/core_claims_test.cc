// How the coordinator deals lots to workers that claim their work.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ControlRules ClaimedRules(int32_t processes, int64_t lots) {
  ControlRules rules = RulesOf(processes);
  rules.claims = {0, lots, processes};
  return rules;
}

// What a process was dealt: "first+count", or "none".
std::vector<std::string> LotsOf(const CoreRun& run, int32_t process) {
  std::vector<std::string> all;
  for (const ToProcess& message : run.heard(process)) {
    if (!message.has_lots()) continue;
    EXPECT_EQ(message.lots().rank(), process);
    all.push_back(message.lots().count() == 0
                      ? "none"
                      : absl::StrCat(message.lots().first(), "+", message.lots().count()));
  }
  return all;
}

TEST(CoreClaims, WhoAsksIsDealtUntilNothingIsLeft) {
  CoreRun run(ClaimedRules(2, 5));
  run.JoinAll();
  run.AskForLots(1);
  run.AskForLots(0);
  for (int i = 0; i < 3; ++i) run.AskForLots(1);
  run.AskForLots(0);
  run.AskForLots(1);
  EXPECT_THAT(LotsOf(run, 0), ElementsAre("0+1", "none"));
  EXPECT_THAT(LotsOf(run, 1), ElementsAre("1+1", "2+1", "3+1", "4+1", "none"));
  EXPECT_TRUE(run.failure().ok());
}

// Lots that are dealt again once their worker is lost are known to be left for nobody late. Who is
// kept waiting for that waits for those who have them, and excuses no wait of theirs.
TEST(CoreClaims, WhoIsKeptWaitingForLotsOfAnotherIsNoExcuseForIt) {
  ControlRules rules = ClaimedRules(2, 2);
  rules.claims.deals_again = true;
  rules.waits.wait = absl::Seconds(4);
  CoreRun run(rules);
  run.JoinAll();
  run.AskForLots(0);
  run.AskForLots(1);
  FromProcess settled;
  settled.mutable_lots_wanted()->set_rank(1);
  settled.mutable_lots_wanted()->set_applied_below(1);
  run.Say(1, settled);
  run.AskForLots(1);
  EXPECT_THAT(LotsOf(run, 1), ElementsAre("1+1"));
  FromProcess paused;
  NodeActivity* const node = paused.mutable_heartbeat()->add_nodes();
  node->mutable_node()->set_index(1);
  node->set_state(NodeActivity::PAUSED);
  for (int i = 0; i < 20 && run.failure().ok(); ++i) {
    run.SayItWaits(0, 1, 1);
    run.Say(1, paused);
    run.Pass(absl::Milliseconds(500));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(run.failure())) << run.failure();
  EXPECT_THAT(std::string(run.failure().message()), HasSubstr("none gets any further"));
}

// Its lot is nobody else's: the run has failed, as one whose work is dealt.
TEST(CoreClaims, ARankThatDiesWithALotEndsTheRun) {
  CoreRun run(ClaimedRules(2, 8));
  run.JoinAll();
  run.AskForLots(0);
  run.AskForLots(1);
  run.Leave(1);
  run.Pass(absl::Seconds(1));
  EXPECT_THAT(std::string(run.failure().message()), HasSubstr("worker/1"));
  run.AskForLots(0);
  EXPECT_THAT(LotsOf(run, 0), ElementsAre("0+1"));
}

TEST(CoreClaims, AskingForAnothersLotsOrInARunWhoseWorkIsDealtEndsTheRun) {
  CoreRun other(ClaimedRules(2, 8));
  other.JoinAll();
  other.AskForLots(0, 1);
  EXPECT_THAT(std::string(other.failure().message()), HasSubstr("asks for lots of worker/1"));
  CoreRun dealt(RulesOf(2));
  dealt.JoinAll();
  dealt.AskForLots(0);
  EXPECT_THAT(std::string(dealt.failure().message()), HasSubstr("claims its work"));
}

}  // namespace
}  // namespace ringmaster
