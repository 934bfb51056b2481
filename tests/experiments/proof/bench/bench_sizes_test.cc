#include "experiments/proof/bench/bench_sizes.h"

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(BenchSizes, ARangeGoesByFactorsOfFourUnlessAnotherIsGiven) {
  EXPECT_THAT(*ParseSizes("4KiB:64KiB"), ElementsAre(4096, 16384, 65536));
  EXPECT_THAT(*ParseSizes("4KiB:16KiB:x2"), ElementsAre(4096, 8192, 16384));
}

TEST(BenchSizes, ARangeNeverGoesBeyondItsEnd) {
  EXPECT_THAT(*ParseSizes("1KiB:15KiB"), ElementsAre(1024, 4096));
}

TEST(BenchSizes, AListKeepsItsOrderAndTakesRangesAndEveryUnit) {
  EXPECT_THAT(*ParseSizes("1MiB,4,12B,1KiB:4KiB,1GiB"),
              ElementsAre(1 << 20, 4, 12, 1024, 4096, 1 << 30));
}

TEST(BenchSizes, WhatIsNoSizeIsRefusedWithWhatIsExpected) {
  for (const char* text : {"", "big", "4kb", "1.5MiB", "4KiB:", "4KiB,,8KiB", "-4"}) {
    const auto sizes = ParseSizes(text);
    EXPECT_TRUE(absl::IsInvalidArgument(sizes.status())) << text;
    EXPECT_THAT(std::string(sizes.status().message()), HasSubstr("expected")) << text;
  }
}

TEST(BenchSizes, ASizeThatIsNoMultipleOfAFloatOrAbsurdIsRefused) {
  EXPECT_THAT(std::string(ParseSizes("4098").status().message()), HasSubstr("multiple of 4"));
  EXPECT_THAT(std::string(ParseSizes("0").status().message()), HasSubstr("4 bytes to 1 GiB"));
  EXPECT_THAT(std::string(ParseSizes("2GiB").status().message()), HasSubstr("4 bytes to 1 GiB"));
  EXPECT_THAT(std::string(ParseSizes("9223372036854775807GiB").status().message()),
              HasSubstr("4 bytes to 1 GiB"));
}

TEST(BenchSizes, ARangeThatEndsBeforeItBeginsOrHasNoFactorIsRefused) {
  EXPECT_THAT(std::string(ParseSizes("1MiB:1KiB").status().message()),
              HasSubstr("ends before it begins"));
  for (const char* text : {"1KiB:1MiB:x1", "1KiB:1MiB:2", "1KiB:1MiB:x2:x2", "1KiB:1MiB:x"}) {
    EXPECT_THAT(std::string(ParseSizes(text).status().message()), HasSubstr("FIRST:LAST:xF"))
        << text;
  }
}

TEST(BenchSizes, ASizeNamedTwiceIsRefused) {
  EXPECT_THAT(std::string(ParseSizes("4KiB:64KiB,16KiB").status().message()),
              HasSubstr("16 KiB is named twice"));
}

TEST(BenchSizes, AreWrittenInTheLargestUnitThatDividesThem) {
  EXPECT_EQ(FormatSize(64 << 10), "64 KiB");
  EXPECT_EQ(FormatSize(1 << 30), "1 GiB");
  EXPECT_EQ(FormatSize(1500), "1500 B");
}

}  // namespace
}  // namespace ringmaster
