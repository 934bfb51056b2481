// As waits_test, for the arms that it leaves out.

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/engine/engines.h"
#include "gtest/gtest.h"
#include "tests/cluster/slow_rank.h"

namespace ringmaster {
namespace {

class Waits : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, Waits,
                         testing::Values("halving-doubling", "ps-sharded", "async", "dp",
                                         "all-reduce-gloo", "all-reduce-mpi"));

TEST_P(Waits, GoOnForARankThatComputesForLongerThanWaitSeconds) {
  const std::string arm = GetParam();
  if (absl::StartsWith(arm, "all-reduce-") && !CheckEngine(arm.substr(11)).ok())
    GTEST_SKIP() << arm << " is not in the build";
  const Finished finished = RunProgram(RunWithPause(arm, 3500));
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
}

}  // namespace
}  // namespace ringmaster
