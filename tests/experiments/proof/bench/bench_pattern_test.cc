#include "experiments/proof/bench/bench_pattern.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kCall = 1500;  // beyond a period of the tables

// What `ranks` of the pattern's ranks give to a call, added up in the order given.
std::vector<float> SumOf(const std::vector<int32_t>& ranks, int32_t of, int64_t call,
                         size_t count) {
  std::vector<float> sum(count);
  std::vector<float> own(count);
  for (const int32_t rank : ranks) {
    BenchPattern(rank, of).Fill(call, absl::MakeSpan(own));
    for (size_t i = 0; i < count; ++i) sum[i] += own[i];
  }
  return sum;
}

TEST(BenchPattern, TheSumOfAllRanksPassesInAnyOrderOfAddition) {
  for (const size_t count : {1, 1020, 1021, 5000}) {
    EXPECT_TRUE(BenchPattern(1, 3).Check(kCall, SumOf({0, 1, 2}, 3, kCall, count)).ok()) << count;
    EXPECT_TRUE(BenchPattern(1, 3).Check(kCall, SumOf({2, 0, 1}, 3, kCall, count)).ok()) << count;
  }
}

TEST(BenchPattern, ARankThatIsMissingOrAddedTwiceIsFound) {
  const BenchPattern pattern(0, 3);
  EXPECT_TRUE(absl::IsDataLoss(pattern.Check(kCall, SumOf({0, 1}, 3, kCall, 100))));
  EXPECT_TRUE(absl::IsDataLoss(pattern.Check(kCall, SumOf({0, 1, 1}, 3, kCall, 100))));
  EXPECT_TRUE(absl::IsDataLoss(pattern.Check(kCall, SumOf({2, 2}, 3, kCall, 100))));
}

TEST(BenchPattern, TheResultOfAnotherCallIsFound) {
  EXPECT_TRUE(absl::IsDataLoss(BenchPattern(0, 2).Check(kCall, SumOf({0, 1}, 2, kCall - 1, 100))));
}

TEST(BenchPattern, APieceThatLandsElsewhereIsFound) {
  const std::vector<float> right = SumOf({0, 1}, 2, kCall, 1 << 16);
  for (int shift = 2; shift < 16; ++shift) {
    std::vector<float> moved = right;
    std::copy_n(right.begin(), 16, moved.begin() + (1 << shift));
    EXPECT_TRUE(absl::IsDataLoss(BenchPattern(0, 2).Check(kCall, moved))) << shift;
  }
}

TEST(BenchPattern, TheFirstWrongElementIsNamedWithHowManyThereAre) {
  std::vector<float> sums = SumOf({0, 1}, 2, kCall, 4000);
  const float right = sums[2345];
  sums[2345] += 1;
  sums[3999] = 0.5f;
  const std::string message(BenchPattern(0, 2).Check(kCall, sums).message());
  EXPECT_THAT(message, HasSubstr("wrong sum: 2 of 4000 elements, the first at 2345: "));
  EXPECT_THAT(message, HasSubstr("expected " + std::to_string(static_cast<int>(right))));
}

TEST(BenchPattern, SumsOfTheMostRanksAreExact) {
  std::vector<int32_t> all;
  for (int32_t rank = BenchPattern::kRanksMax - 1; rank >= 0; --rank) all.push_back(rank);
  EXPECT_TRUE(BenchPattern(5, BenchPattern::kRanksMax)
                  .Check(0, SumOf(all, BenchPattern::kRanksMax, 0, 3000))
                  .ok());
}

}  // namespace
}  // namespace ringmaster
