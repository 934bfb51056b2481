// A process is lost, and all are started again: every arm, every transport.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/engine/engine_names.h"
#include "common/engine/engines.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/cluster/restarts/restarted_run.h"
#include "tests/support/arms.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

bool IsRepeatable(const ArmUnderTest& arm) {
  return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether &&
         arm.traits.backup_workers == 0;
}

class EveryTransport : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Restarted, EveryTransport, testing::ValuesIn(ProcessTransports()),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryTransport, EveryArmGoesOnFromItsCheckpoint) {
  for (const std::string& arm : ArmsThat(RunsEverywhere)) {
    SCOPED_TRACE(arm);
    const ArmUnderTest described = DescribeArm(arm);
    const int rank = described.traits.workers > 1 ? 1 : 0;
    const std::string fault = absl::StrCat("worker:", rank, "@step=45 kill");
    const auto records = MakeRestarting(arm, {"--transport", GetParam(), "--fault", fault});
    ASSERT_EQ(records.size(), 1u);
    ExpectRestarted(records.at(arm), absl::StrCat("worker/", rank), 0);
    if (described.traits.work == Work::kClaimed) ExpectEveryLotOnce(records.at(arm));
    if (!IsRepeatable(described)) continue;
    const auto whole = MakeRestarting(arm, {"--transport", GetParam()});
    ASSERT_EQ(whole.size(), 1u);
    ExpectSameBits(records.at(arm), whole.at(arm));
  }
}

TEST(Restarted, RunsOfOtherLibrariesGoOnFromTheirCheckpoints) {
  const auto is_of_another = [](const ArmUnderTest& arm) {
    const absl::string_view engine = arm.traits.engine;
    return !engine.empty() && EngineGpusOf(engine) == EngineGpus::kNone && CheckEngine(engine).ok();
  };
  for (const std::string& arm : ArmsThat(is_of_another)) {
    SCOPED_TRACE(arm);
    const auto records = MakeRestarting(arm, {"--fault", "worker:1@step=45 kill"});
    const auto whole = MakeRestarting(arm, {});
    ASSERT_EQ(records.size(), 1u);
    ASSERT_EQ(whole.size(), 1u);
    ExpectRestarted(records.at(arm), "worker/1", 45);
    ExpectSameBits(records.at(arm), whole.at(arm));
  }
}

TEST_P(EveryTransport, ASuspendedOrCutProcessIsLostToo) {
  for (const char* fault : {"worker:1@step=45 stop", "server:0@step=45 stop"}) {
    SCOPED_TRACE(fault);
    const auto records = MakeRestarting("ps", {"--transport", GetParam(), "--fault", fault});
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records.at("ps").losses_size(), 1);
  }
  const auto records =
      MakeRestarting("ring", {"--transport", GetParam(), "--fault", "worker:1@step=45 cut"});
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records.at("ring").losses_size(), 1);
}

}  // namespace
}  // namespace ringmaster
