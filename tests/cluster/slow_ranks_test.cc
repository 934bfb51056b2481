// Slow ranks are as slow as the spec says, to the arithmetic: the median step of a whole run, by
// the size of buckets and by the kind of slowness.

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/cluster/shaped_run.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

constexpr double kStepMs = 10;
constexpr double kSlowMs = 30;

// The exchange of 1.7 MB, and a machine on which other tests run beside.
constexpr double kRoomMs = 30;

// Of a ring, whose every step is as long as the slower rank's; rank 1 is slowed down.
double MedianStep(const std::string& slowdown, int64_t bucket_bytes) {
  const std::map<std::string, double> steps =
      MedianSteps("ring", {"--workers", "2", "--steps", "30", "--emulate", absl::StrCat(kStepMs),
                           "--set", absl::StrCat("training.bucket_bytes=", bucket_bytes), "--set",
                           absl::StrCat("training.slowdowns=[{ranks: 1 ", slowdown, "}]")});
  return steps.count("ring") ? steps.at("ring") : 0;
}

TEST(SlowRanks, AFactorSlowsAnEmulatedStepByTheFactorWhateverTheBuckets) {
  for (const int64_t bucket_bytes : {64 << 10, 4 << 20}) {
    const double step = MedianStep("factor: 3", bucket_bytes);
    EXPECT_GE(step, kSlowMs) << bucket_bytes;
    EXPECT_LE(step, kSlowMs + kRoomMs) << bucket_bytes;
  }
}

TEST(SlowRanks, ADelayIsAddedToItsSteps) {
  for (const char* slowdown : {"periodic {every_steps: 1 milliseconds: 20}",
                               // Of 30 steps 15 and more are delayed but once in ten million runs.
                               "random {probability: 0.95 milliseconds: 20}"}) {
    const double step = MedianStep(slowdown, 64 << 10);
    EXPECT_GE(step, kSlowMs) << slowdown;
    EXPECT_LE(step, kSlowMs + kRoomMs) << slowdown;
  }
  // One step of many does not move the median.
  const double step = MedianStep("pause {step: 20 milliseconds: 200}", 64 << 10);
  EXPECT_GE(step, kStepMs);
  EXPECT_LE(step, kStepMs + kRoomMs);
}

// By arm: what `compare` measured of a run of three workers, of whom rank 1 is slowed down so.
std::map<std::string, nlohmann::json> NodesOf(const std::string& arms,
                                              const std::string& slowdowns) {
  const Finished finished = RunProgram(
      SmallRun("compare", {"--arms", arms, "--workers", "3", "--steps", "25", "--emulate",
                           absl::StrCat(kStepMs), "--json", "--out", NewFolder("out"), "--set",
                           absl::StrCat("training.slowdowns=[", slowdowns, "]")}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  std::map<std::string, nlohmann::json> nodes;
  const auto object = nlohmann::json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return nodes;
  for (const auto& run : object["runs"]) nodes[run["arm"].get<std::string>()] = run["nodes"];
  return nodes;
}

TEST(SlowRanks, AConstantDelayIsTheOthersSkewAndNoTransfer) {
  constexpr double kDelayMs = 60;
  const std::string slowdown =
      absl::StrCat("{ranks: 1 periodic {every_steps: 1 milliseconds: ", kDelayMs, "}}");
  auto slowed = NodesOf("ring,ps", slowdown);
  for (const char* arm : {"ring", "ps"}) {
    SCOPED_TRACE(arm);
    const auto skew = slowed[arm]["skew_ms"], transfer = slowed[arm]["transfer_ms"];
    ASSERT_TRUE(skew.is_array()) << slowed[arm];
    for (const int rank : {0, 2}) {
      EXPECT_GE(skew[rank].get<double>(), kDelayMs - kRoomMs / 2) << "rank " << rank;
      EXPECT_LE(skew[rank].get<double>(), kDelayMs + kRoomMs) << "rank " << rank;
    }
    EXPECT_LE(skew[1].get<double>(), kRoomMs / 2) << "nobody comes after the slowed rank";
    for (int rank = 0; rank < 3; ++rank)
      EXPECT_LE(transfer[rank].get<double>(), kRoomMs) << "rank " << rank;
  }
  const auto nodes = NodesOf("async", slowdown)["async"];
  EXPECT_TRUE(nodes["skew_ms"][0].is_null()) << "nobody waits for the last rank: " << nodes;
}

}  // namespace
}  // namespace ringmaster
