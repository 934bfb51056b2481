// `ringmaster explain` as a user runs it, for every arm.

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Explain, SaysOfEveryArmWhatIsSentAndWhatAClipWouldMeasure) {
  int compressing = 0;
  for (const std::string& name : ArmsThat(Exchanges)) {
    const ArmUnderTest arm = DescribeArm(name);
    const Finished told = RunProgram({"explain", name, "--workers", "3"});
    ASSERT_EQ(told.exit_code, 0) << name << ": " << told.err;
    EXPECT_THAT(told.out, HasSubstr("optimizer.clip_norm")) << name;
    if (arm.codec.exact) {
      EXPECT_THAT(told.out, Not(HasSubstr("its encoding by"))) << name;
      continue;
    }
    ++compressing;
    const std::string& codec = arm.spec.codec().name();
    EXPECT_THAT(told.out, HasSubstr(arm.codec.in_rounds ? absl::StrCat(codec, " sums a bucket in")
                                                        : absl::StrCat("its encoding by ", codec)));
    if (arm.traits.servers > 0) continue;
    // What cannot be added on the wire is gathered, whatever schedule the arm is called after.
    EXPECT_EQ(absl::StrContains(told.out, "all-gather of encoded gradients"),
              !arm.codec.summable_as.has_value() && !arm.codec.in_rounds)
        << name;
  }
  EXPECT_GE(compressing, 3);
}

TEST(Explain, TakesFieldsOfTheSpecAndRefusesWhatARunWouldRefuse) {
  const Finished told = RunProgram(
      {"explain", "local-sgd", "--workers", "3", "--set", "strategy.local_sgd.local_steps=5"});
  ASSERT_EQ(told.exit_code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("Everybody has made 5 steps alone"));
  for (const char* set : {"training.workers=1", "training.workers=33", "codec.density=2"}) {
    const Finished refused = RunProgram({"explain", "ring-topk", "--set", set});
    EXPECT_EQ(refused.exit_code, 2) << set << refused.out;
    EXPECT_THAT(refused.err, HasSubstr("expected")) << set;
  }
}

}  // namespace
}  // namespace ringmaster
