// Slow ranks are as slow as the spec says, to the arithmetic: the median step of a whole run, by
// the size of buckets and by the kind of slowness.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/cluster/shaped_run.h"

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

}  // namespace
}  // namespace ringmaster
