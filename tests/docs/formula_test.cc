#include "tests/docs/formula.h"

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

double ValueOf(absl::string_view formula) {
  const absl::StatusOr<double> value = Evaluate(formula, {{"N", 6}, {"S", 120}});
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() ? *value : 0;
}

TEST(Formula, ReadsWhatItsHeaderSays) {
  EXPECT_EQ(ValueOf("2*S*(N-1)/N"), 200);
  EXPECT_EQ(ValueOf("1 - 2 - 3"), -4);
  EXPECT_EQ(ValueOf("12/3/2"), 2);
  EXPECT_EQ(ValueOf("2 + 3*4^2"), 50);
  EXPECT_EQ(ValueOf("2^3^2"), 512);
  EXPECT_EQ(ValueOf("-2^2"), -4);
  EXPECT_EQ(ValueOf("2^-1"), 0.5);
  EXPECT_EQ(ValueOf("2.5*2"), 5);
  EXPECT_EQ(ValueOf("ceil(log2(N)) + floor(log2(N))"), 5);
  EXPECT_EQ(ValueOf("min(N, 4) + max(N, 4)"), 10);
}

TEST(Formula, AddsUpASeriesAndTakesAnEmptyOneAsNothing) {
  EXPECT_EQ(ValueOf("sum(j, 0, 3, 2^j) + N"), 21);
  EXPECT_EQ(ValueOf("sum(j, 1, 0, 1/j) + N"), 6);
  EXPECT_EQ(ValueOf("sum(i, 1, 3, sum(j, 1, i, i*j))"), 1 + 2 + 4 + 3 + 6 + 9);
}

TEST(Formula, RefusesWhatItCannotRead) {
  for (const char* wrong : {"", "N*", "(N", "N)", "N M", "K", "sqrt(N)", "min(N)", "min(1,2,3)",
                            "sum(j, 0, 3)", "j + sum(j, 0, 1, j)", "2**3", "N=1"}) {
    EXPECT_FALSE(Evaluate(wrong, {{"N", 6}}).ok()) << wrong;
  }
}

}  // namespace
}  // namespace ringmaster
