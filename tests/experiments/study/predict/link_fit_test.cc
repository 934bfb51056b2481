#include "experiments/study/predict/link_fit.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

LinkTimes TimesOf(int64_t bytes, double alone, double together) {
  LinkTimes times;
  times.bytes = bytes;
  times.alone = {alone, alone, alone};
  times.together = {together, together};
  return times;
}

TEST(FitLink, FindsLatencyAndRateOfALine) {
  std::vector<LinkTimes> times;
  for (const int64_t bytes : {64, 4 << 10, 32 << 10, 128 << 10, 512 << 10}) {
    times.push_back(TimesOf(bytes, 50e-6 + bytes / 1e9, 80e-6 + bytes / 0.5e9));
    times.back().together_cpu = 60e-6 + bytes * 2e-9;
  }
  const LinkFit fit = FitLink(times);
  EXPECT_NEAR(fit.latency, 50e-6, 1e-7);
  EXPECT_NEAR(fit.rate, 0.5e9, 1);  // of all at once
  EXPECT_EQ(fit.samples, 5 * 5);
  EXPECT_NEAR(fit.cpu_byte, 2e-9, 1e-15);
  EXPECT_NEAR(fit.cpu_message, 30e-6, 1e-6);  // the barrier is another one
}

TEST(FitLink, OneBadSampleAndOneBadSizeMoveNothingMuch) {
  std::vector<LinkTimes> times;
  for (const int64_t bytes : {64, 32 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20}) {
    times.push_back(TimesOf(bytes, 50e-6 + bytes / 1e9, 80e-6 + bytes / 1e9));
    times.back().alone[1] = 1;
  }
  times[3].together = {0.5, 0.5};
  EXPECT_NEAR(FitLink(times).latency, 50e-6, 1e-6);
  EXPECT_NEAR(FitLink(times).rate, 1e9, 0.1e9);
}

TEST(FitLink, HandlingOfSmallMessagesIsNoRate) {
  // Up to 4 KiB nothing is said of the wire, whatever it costs.
  const std::vector<LinkTimes> times = {
      TimesOf(64, 10e-6, 10e-6), TimesOf(4 << 10, 500e-6, 500e-6),
      TimesOf(32 << 10, 1000e-6, 1000e-6),
      TimesOf(64 << 10, 1000e-6 + 32768 / 1e8, 1000e-6 + 32768 / 1e8)};
  EXPECT_NEAR(FitLink(times).rate, 1e8, 1);
}

TEST(FitLink, WhereLargeMessagesTakeNoLongerTheRateIsUnlimited) {
  const LinkFit fit = FitLink({TimesOf(64, 20e-6, 20e-6), TimesOf(1 << 20, 20e-6, 20e-6)});
  EXPECT_TRUE(std::isinf(fit.rate));
  EXPECT_NEAR(fit.latency, 20e-6, 1e-12);
}

}  // namespace
}  // namespace ringmaster
