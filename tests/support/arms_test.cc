#include "tests/support/arms.h"

#include "common/config/arms.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

TEST(ArmsUnderTest, AreAllOfTheRegistryInItsOrder) {
  const std::vector<std::string> names = AllArms();
  ASSERT_EQ(names.size(), Arms().size());
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], Arms()[i].name);
}

TEST(ArmsUnderTest, AreChosenByWhatTheirRegistriesSayOfThem) {
  EXPECT_THAT(ArmsThat(HasOneTrajectory),
              AllOf(IsSupersetOf({"single", "dp", "ps", "ring"}), Not(Contains("solo")),
                    Not(Contains("async")), Not(Contains("ring-fp16"))));
  EXPECT_THAT(ArmsThat(ExchangesOnOneTrajectory), Not(Contains("single")));
  EXPECT_THAT(ArmsThat(Exchanges), AllOf(IsSupersetOf({"async", "ring-topk"}),
                                         Not(Contains("solo")), Not(Contains("all-reduce-gloo"))));
  EXPECT_THAT(ArmsThat([](const ArmUnderTest& arm) { return arm.traits.workers == 2; }),
              AllOf(Contains("ring"), Not(Contains("single"))));
}

TEST(ArmsUnderTest, AreOneOfEachSchemeThatHasSuch) {
  EXPECT_EQ(OneArmOfEachScheme(RunsEverywhere).size(), Schemes().size());
  EXPECT_THAT(OneArmOfEachScheme(HasOneTrajectory),
              testing::ElementsAre("single", "ps", "ring", "sharded-optimizer"));
}

TEST(CodecsUnderTest, AreMadeWithTheirOptionsAndLossyWhereTheySaySo) {
  EXPECT_EQ(AllCodecs().size(), LossyCodecs().size() + 1);
  EXPECT_THAT(LossyCodecs(), Not(Contains(kNoCodec)));
  for (const std::string& name : AllCodecs()) {
    CodecSpec spec;
    ChooseCodec(name, &spec);
    EXPECT_TRUE(CreateCodec(spec).ok()) << name << ": " << CreateCodec(spec).status();
  }
}

TEST(TransportsUnderTest, LeaveOutTheOneThatChoosesAndForProcessesTheOneThatStaysInside) {
  EXPECT_THAT(AllTransports(), AllOf(IsSupersetOf({"inproc", "tcp"}), Not(Contains("auto"))));
  EXPECT_EQ(ProcessTransports().size() + 1, AllTransports().size());
}

TEST(Names, AreJoinedForFlagsAndMadeForTests) {
  EXPECT_EQ(Joined({"ps", "ring-fp16"}), "ps,ring-fp16");
  EXPECT_EQ(TestName("ring-fp16"), "ring_fp16");
}

}  // namespace
}  // namespace ringmaster
