// As many ranks as one host is asked to hold while it waits for real machines.

#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

class SixtyFourRanks : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, SixtyFourRanks, testing::ValuesIn(ProcessTransports()));

// Two idle cores have 64 ranks ready in 15 s when each takes less than 0.45 s of processor time.
// That is what is tested: how many cores a machine has, and who else is on it, is seen in the
// seconds.
TEST_P(SixtyFourRanks, AreReadyInFifteenSecondsOfTwoCoresAndTakeLittleMemory) {
  const Finished bench = RunProgram({"bench", "start", "--workers", "64", "--strategy",
                                     "ring,ps-sharded", "--transport", GetParam(), "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto json = nlohmann::json::parse(bench.out);
  ASSERT_EQ(json["rows"].size(), 2u) << bench.out;
  for (const auto& row : json["rows"]) {
    EXPECT_LT(row["join_cpu_seconds"], 0.2) << row;
    EXPECT_LT(row["workers"]["memory_mib_max"], 20) << row;
    EXPECT_LT(row["workers"]["largest_mapping_mib"], 1024) << row;
  }
}

}  // namespace
}  // namespace ringmaster
