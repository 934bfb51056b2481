#include "worker/loop/slowdown.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "common/config/override.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TrainingSpec Training(const std::string& slowdowns, uint64_t seed = 1) {
  RunSpec spec;
  const absl::Status status = SetField("training.slowdowns=" + slowdowns, &spec);
  EXPECT_TRUE(status.ok()) << status;
  spec.mutable_training()->set_seed(seed);
  return spec.training();
}

Slowdown Of(const TrainingSpec& training, int32_t rank) {
  return Slowdown(training, rank, [] { return absl::OkStatus(); });
}

TEST(Slowdown, ConcernsTheRanksThatAreNamedAlone) {
  const TrainingSpec training = Training("[{ranks: [1, 3] factor: 4}, {ranks: 3 factor: 2}]");
  EXPECT_EQ(Of(training, 0).factor(), 1);
  EXPECT_EQ(Of(training, 1).factor(), 4);
  EXPECT_EQ(Of(training, 3).factor(), 8);
  EXPECT_EQ(Of(training, 1).DelayOf(5), absl::ZeroDuration());
}

TEST(Slowdown, CanGetWorseOnTheWay) {
  const TrainingSpec training = Training("[{ranks: 1 factor: 2}]");
  Slowdown slowdown = Of(training, 1);
  EXPECT_EQ(slowdown.factor(), 2);
  slowdown.SlowBy(1.5);
  EXPECT_EQ(slowdown.factor(), 3);
  const Clock::time_point begin = Clock::now();
  slowdown.Begin();
  const Clock::time_point computed = begin + std::chrono::milliseconds(2);
  while (Clock::now() < computed) {
  }
  ASSERT_TRUE(slowdown.Stretch().ok());
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(6));
  slowdown.SlowBy(1);
  EXPECT_EQ(slowdown.factor(), 2);
}

TEST(Slowdown, PeriodicAndPauseComeInTheirStepsAndAddUp) {
  const TrainingSpec training = Training(
      "[{ranks: 0 periodic {every_steps: 3 milliseconds: 10}}, {ranks: 0 pause {step: 5 "
      "milliseconds: 2.5}}]");
  const Slowdown slowdown = Of(training, 0);
  for (int64_t step = 0; step < 9; ++step) {
    const double expected = (step == 2 || step == 5 || step == 8 ? 10 : 0) + (step == 5 ? 2.5 : 0);
    EXPECT_EQ(absl::ToDoubleMilliseconds(slowdown.DelayOf(step)), expected) << step;
  }
}

TEST(Slowdown, RandomDelaysAreAFunctionOfSeedRankAndStep) {
  const std::string spec = "{ranks: [0, 1] random {probability: 0.25 milliseconds: 8}}";
  const auto pattern = [&](uint64_t seed, int32_t rank) {
    const Slowdown slowdown = Of(Training(spec, seed), rank);
    std::string steps;
    for (int64_t step = 0; step < 4000; ++step) {
      const double delay = absl::ToDoubleMilliseconds(slowdown.DelayOf(step));
      EXPECT_TRUE(delay == 0 || delay == 8) << delay;
      steps += delay > 0 ? '1' : '0';
    }
    return steps;
  };
  const std::string first = pattern(1, 0);
  EXPECT_EQ(pattern(1, 0), first);
  EXPECT_NE(pattern(1, 1), first);
  EXPECT_NE(pattern(2, 0), first);
  // Five standard deviations of 4000 throws.
  EXPECT_NEAR(static_cast<double>(std::count(first.begin(), first.end(), '1')), 1000, 5 * 27.4);
}

TEST(Slowdown, StretchesAPieceOfComputingByTheFactor) {
  Slowdown slowdown = Of(Training("{ranks: 0 factor: 3}"), 0);
  const Clock::time_point begin = Clock::now();
  slowdown.Begin();
  while (Clock::now() - begin < std::chrono::milliseconds(5)) {
  }
  const Clock::time_point computed = Clock::now();
  ASSERT_TRUE(slowdown.Stretch().ok());
  EXPECT_GE(Clock::now() - begin, 3 * (computed - begin));
}

TEST(Slowdown, ManyPiecesAreStretchedAsOne) {
  constexpr int kPieces = 200;
  Slowdown slowdown = Of(Training("{ranks: 0 factor: 3}"), 0);
  Clock::duration computed{0};
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < kPieces; ++i) {
    slowdown.Begin();
    const Clock::time_point piece = Clock::now();
    while (Clock::now() - piece < std::chrono::microseconds(100)) {
    }
    computed += Clock::now() - piece;
    ASSERT_TRUE(slowdown.Stretch().ok());
  }
  // Every sleep is too long by some fifty microseconds; what the last one is too long by stays.
  const Clock::duration took = Clock::now() - begin;
  EXPECT_GE(took, 3 * computed);
  EXPECT_LT(took, 3.2 * computed + std::chrono::milliseconds(20));
}

TEST(Slowdown, EmulatedComputingTakesItsFactorWithItsTimes) {
  TrainingSpec training = Training("[{ranks: 1 factor: 4}, {ranks: [0, 1] factor: 2}]");
  EXPECT_EQ(SlowdownFactor(training, 0), 2);
  EXPECT_EQ(SlowdownFactor(training, 1), 8);
  EXPECT_EQ(SlowdownFactor(training, 2), 1);
  training.mutable_emulated_compute()->set_milliseconds(5);
  EXPECT_EQ(Of(training, 1).factor(), 1);
}

TEST(Slowdown, EndOfTheRunEndsAPause) {
  const TrainingSpec training = Training("{ranks: 0 pause {step: 0 milliseconds: 600000}}");
  int asked = 0;
  const Slowdown slowdown(training, 0, [&asked]() -> absl::Status {
    if (++asked == 2) return absl::CancelledError("the run is over");
    return absl::OkStatus();
  });
  EXPECT_EQ(slowdown.Delay(0), absl::CancelledError("the run is over"));
  EXPECT_TRUE(slowdown.Delay(1).ok());
}

}  // namespace
}  // namespace ringmaster
