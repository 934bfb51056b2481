// As waits_test, for every arm.

#include <string>
#include <vector>

#include "common/engine/engine_names.h"
#include "common/engine/engines.h"
#include "gtest/gtest.h"
#include "tests/cluster/slow_rank.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

// More than one worker, and kernels of the CPU do.
bool IsWaitedIn(const ArmUnderTest& arm) {
  return arm.traits.workers > 1 &&
         (RunsEverywhere(arm) || EngineGpusOf(std::string(arm.traits.engine)) == EngineGpus::kNone);
}

class Waits : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, Waits, testing::ValuesIn(ArmsThat(IsWaitedIn)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(Waits, GoOnForARankThatComputesForLongerThanWaitSeconds) {
  const std::string arm = GetParam();
  const std::string engine(DescribeArm(arm).traits.engine);
  if (!engine.empty() && !CheckEngine(engine).ok()) GTEST_SKIP() << CheckEngine(engine);
  const Finished finished = RunProgram(RunWithPause(arm, 3500));
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
}

}  // namespace
}  // namespace ringmaster
