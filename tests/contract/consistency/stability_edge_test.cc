#include <algorithm>
#include <cmath>

#include "experiments/proof/verify/consistency_check.h"
#include "experiments/proof/verify/stability_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

TEST(StabilityEdge, IsTheFormulaOfConstantDelays) {
  EXPECT_NEAR(StabilityEdge(0), 2.0, 1e-15);
  EXPECT_NEAR(StabilityEdge(1), 1.0, 1e-15);
  EXPECT_NEAR(StabilityEdge(2), (std::sqrt(5.0) - 1) / 2, 1e-15);
}

TEST(StabilityEdge, StaleDescentShrinksJustBelowItAndGrowsJustAboveThroughTheRealServer) {
  EXPECT_EQ(CheckStabilityEdge(), absl::OkStatus());
}

// x[i+1] = x[i] - rate * x[i - delay], in double precision and without a server.
TEST(StabilityEdge, TheServersPathIsTheRecurrence) {
  for (int64_t delay = 0; delay <= 3; ++delay) {
    StabilityCase c;
    c.delay = delay;
    c.learning_rate = 0.5 * StabilityEdge(delay);
    c.updates = 20;
    std::vector<double> x = {1.0};
    for (int64_t i = 0; i < c.updates; ++i)
      x.push_back(x[i] - c.learning_rate * x[std::max<int64_t>(0, i - delay)]);
    double expected = 0;
    for (size_t i = x.size() - delay - 1; i < x.size(); ++i)
      expected = std::max(expected, std::fabs(x[i]));
    const absl::StatusOr<double> magnitude = FinalMagnitude(c);
    ASSERT_TRUE(magnitude.ok()) << magnitude.status();
    // 20 updates of two roundings of numbers of at most 1.
    EXPECT_NEAR(*magnitude, expected, 40 * 0x1p-24) << "delay " << delay;
  }
}

TEST(StabilityEdge, TheCheckFailsWhenGradientsArriveOneUpdateLater) {
  StabilityCase broken;
  broken.extra_delay = 1;
  const absl::Status status = CheckStabilityEdge(broken);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("0.97 of the edge"));
}

TEST(StabilityEdge, TheCheckFailsWhenGradientsAreScaledWrongly) {
  for (const double factor : {1.05, 0.95}) {
    StabilityCase broken;
    broken.gradient_factor = factor;
    EXPECT_EQ(CheckStabilityEdge(broken).code(), absl::StatusCode::kFailedPrecondition) << factor;
  }
}

TEST(CheckConsistency, SaysWhatItRan) {
  const absl::StatusOr<std::string> figures = CheckConsistency(1, 1000);
  ASSERT_TRUE(figures.ok()) << figures.status();
  EXPECT_THAT(*figures, HasSubstr("1000 schedules from seed 1"));
  EXPECT_THAT(*figures, HasSubstr("stability edge"));
}

}  // namespace
}  // namespace ringmaster
