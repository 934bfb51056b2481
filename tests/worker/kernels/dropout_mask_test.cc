#include "worker/kernels/dropout_mask.h"

#include <cmath>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kCount = 1 << 20;

// Within five standard deviations of `share` of kCount independent draws.
void ExpectShare(int64_t hits, double share, const char* what) {
  EXPECT_LE(std::fabs(hits - share * kCount), 5 * std::sqrt(kCount * share * (1 - share)))
      << what << ": " << hits << " of " << kCount << ", expected a share of " << share;
}

TEST(DropoutMask, KeepsOneMinusItsRate) {
  for (const float rate : {0.01f, 0.1f, 0.5f, 0.9f}) {
    for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, MixSeed(3, 4)}) {
      int64_t kept = 0;
      for (int64_t i = 0; i < kCount; ++i) kept += DropoutKeeps(seed, i, rate);
      ExpectShare(kept, 1.0 - rate, "kept");
    }
  }
}

TEST(DropoutMask, RateZeroKeepsEverything) {
  for (int64_t i = 0; i < kCount; ++i) ASSERT_TRUE(DropoutKeeps(MixSeed(9, i), i, 0.0f)) << i;
}

// One number in 2^24 is exactly 0; this is one.
TEST(DropoutMask, ADrawOfZeroIsKeptByRateZeroAndDroppedByEveryOther) {
  ASSERT_EQ(DropoutDraw(1, 1744052), 0.0f);
  EXPECT_TRUE(DropoutKeeps(1, 1744052, 0.0f));
  EXPECT_FALSE(DropoutKeeps(1, 1744052, 1e-30f));
}

// Were neighbours, far ones or other seeds related, both would be kept more or less often than one
// in four.
TEST(DropoutMask, ElementsAndSeedsAreIndependent) {
  const uint64_t seed = MixSeed(5, 6);
  for (const int64_t distance : {1, 2, 8, 128, 65536}) {
    int64_t both = 0;
    for (int64_t i = 0; i < kCount; ++i)
      both += DropoutKeeps(seed, i, 0.5f) && DropoutKeeps(seed, i + distance, 0.5f);
    ExpectShare(both, 0.25, "both of two elements kept");
  }
  for (const uint64_t other : {seed + 1, seed ^ (uint64_t{1} << 63), MixSeed(5, 7), uint64_t{0}}) {
    int64_t both = 0;
    for (int64_t i = 0; i < kCount; ++i)
      both += DropoutKeeps(seed, i, 0.5f) && DropoutKeeps(other, i, 0.5f);
    ExpectShare(both, 0.25, "one element kept under two seeds");
  }
}

// SplitMix64's numbers, of which the mask is a threshold: the same on every machine, whatever
// compiled it.
TEST(DropoutMask, IsAThresholdOfTheSeedsRandomNumbers) {
  Random random(77);
  for (int64_t i = 0; i < 1000; ++i)
    ASSERT_EQ(DropoutKeeps(77, i, 0.3f), random.Uniform() >= 0.3f) << i;
}

}  // namespace
}  // namespace ringmaster
