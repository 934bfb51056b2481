#include "experiments/study/simulate/compute_text.h"

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(ComputeText, IsReadAsItIsWritten) {
  for (const std::string text : {"20ms", "0", "1.5s", "lognormal(20ms,0.3)", "measured",
                                 "some/times.textproto", "lognormal(measured,0.1)"}) {
    const auto compute = ParseStepCompute(text);
    ASSERT_TRUE(compute.ok()) << compute.status();
    EXPECT_EQ(ToText(*compute), text);
  }
  EXPECT_EQ(ParseStepCompute(" lognormal( 20ms , 0.3)")->sigma, 0.3);
  EXPECT_EQ(ParseStepCompute("20ms")->source, "");
  EXPECT_EQ(ParseStepCompute("measured")->source, kMeasuredSource);
  EXPECT_EQ(ParseStepCompute("lognormal(a.textproto,0.1)")->source, "a.textproto");
}

TEST(ComputeText, RefusesWhatIsNoTimeAndNamesIt) {
  for (const std::string text :
       {"", "20", "ms", "-1ms", "2h", "lognormal(20ms)", "lognormal(20ms,0.3", "lognormal(20ms,0)",
        "lognormal(20ms,nan)", "lognormal(20ms,9)", "lognormal(20ms,0.3,1)", "normal(1ms,1)",
        "inf"}) {
    const auto compute = ParseStepCompute(text);
    ASSERT_FALSE(compute.ok()) << text;
    EXPECT_TRUE(absl::StrContains(compute.status().message(), "\"" + text + "\""));
    EXPECT_TRUE(absl::StrContains(compute.status().message(), "lognormal(20ms,0.3)"));
  }
}

TEST(ComputeText, StretchIsDrawnByRankAndStepWithMeanOneAndItsDeviation) {
  const StepCompute compute{absl::Milliseconds(1), "", 0.3};
  double sum = 0, log_sum = 0, log_squares = 0;
  constexpr int kDraws = 20000;
  for (int step = 0; step < kDraws; ++step) {
    const double stretch = compute.Stretch(1, step % 7, step);
    sum += stretch;
    log_sum += std::log(stretch);
    log_squares += std::log(stretch) * std::log(stretch);
  }
  const double log_mean = log_sum / kDraws;
  EXPECT_NEAR(sum / kDraws, 1, 4 * 0.31 / std::sqrt(kDraws));
  EXPECT_NEAR(std::sqrt(log_squares / kDraws - log_mean * log_mean), 0.3, 0.01);
  EXPECT_EQ(compute.Stretch(1, 2, 3), compute.Stretch(1, 2, 3));
  EXPECT_NE(compute.Stretch(1, 2, 3), compute.Stretch(2, 2, 3));
  EXPECT_NE(compute.Stretch(1, 2, 3), compute.Stretch(1, 3, 3));
  EXPECT_NE(compute.Stretch(1, 2, 3), compute.Stretch(1, 2, 4));
  EXPECT_EQ((StepCompute{absl::Milliseconds(1), "", 0}).Stretch(1, 2, 3), 1);
}

}  // namespace
}  // namespace ringmaster
