#include "worker/data/pixel_values.h"

#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(PixelSums, StatisticsAreThoseOfAllPixelsToFourDigits) {
  PixelSums sums;
  for (int piece = 0; piece < 3; ++piece) sums.Add(std::vector<unsigned char>(100000, 0));
  sums.Add(std::vector<unsigned char>(100000, 255));
  const PixelStatistics statistics = sums.Statistics();
  EXPECT_EQ(statistics.mean, 0.25f);
  EXPECT_EQ(statistics.deviation, 0.4330f);  // sqrt(3) / 4
}

TEST(PixelSums, DigitsAreCountedFromTheFirstThatIsNotZero) {
  PixelSums sums;
  std::vector<unsigned char> pixels(1 << 20, 0);
  pixels.back() = 1;
  sums.Add(pixels);
  EXPECT_EQ(sums.Statistics().mean, 3.740e-09f);       // 1 / 255 / 2^20
  EXPECT_EQ(sums.Statistics().deviation, 3.830e-06f);  // 1 / 255 / 2^10
}

TEST(PixelSums, EqualPixelsHaveADeviationOfOne) {
  PixelSums sums;
  sums.Add(std::vector<unsigned char>(70000, 77));
  EXPECT_EQ(sums.Statistics().deviation, 1.0f);
  EXPECT_EQ(sums.Statistics().mean, 0.3020f);
}

TEST(PixelSums, FortyMillionWhitePixelsDoNotOverflow) {
  PixelSums sums;
  const std::vector<unsigned char> white(1 << 22, 255);
  for (int piece = 0; piece < 10; ++piece) sums.Add(white);
  sums.Add(std::vector<unsigned char>(10 << 22, 0));
  EXPECT_EQ(sums.Statistics().mean, 0.5f);
  EXPECT_EQ(sums.Statistics().deviation, 0.5f);
}

}  // namespace
}  // namespace ringmaster
