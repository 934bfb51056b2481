#include "common/build_stamp/build_stamp.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(BuildStamp, CommitIsUnknownOrAHashThatMayBeDirty) {
  EXPECT_THAT(GetBuildStamp().commit(), MatchesRegex("unknown|[0-9a-f]{40}(-dirty)?"));
}

TEST(BuildStamp, CompilerIsTheOneThatCompiledThis) {
  EXPECT_THAT(GetBuildStamp().compiler(), HasSubstr(__VERSION__));
}

TEST(BuildStamp, FlagsNameTheInstructionSetAndTheContractionRule) {
  const std::string flags = GetBuildStamp().flags();
  EXPECT_THAT(flags, HasSubstr("-march=x86-64-v3"));
  EXPECT_THAT(flags, HasSubstr("-ffp-contract=off"));
  EXPECT_THAT(flags, HasSubstr("-c "));
}

}  // namespace
}  // namespace ringmaster
