#include "common/base/check.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "common/base/check_context.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

void Fail() { RM_CHECK(1 + 1 == 3); }

TEST(CheckDeathTest, AFailedCheckNamesTheFileTheConditionAndTheProcess) {
  EXPECT_DEATH(Fail(), "check_test\\.cc:[0-9]+: internal error: 1 \\+ 1 == 3 \\(pid [0-9]+\\)");
}

TEST(CheckDeathTest, AFailedCheckNamesTheNodeOfItsThreadAndItsStep) {
  std::atomic<int64_t> step{12};
  const ScopedProcessCheckContext process("worker/0+worker/3", &step);
  const ScopedCheckContext context("worker/3", &step);
  step = 17;
  EXPECT_DEATH(Fail(), "1 \\+ 1 == 3; worker/3 step=17 \\(pid");
}

TEST(CheckDeathTest, AServerHasNoStep) {
  const ScopedCheckContext context("server/1");
  EXPECT_DEATH(Fail(), "1 \\+ 1 == 3; server/1 \\(pid");
}

TEST(CheckDeathTest, AThreadThatNobodyNamedIsTheProcesss) {
  std::atomic<int64_t> step{5};
  const ScopedProcessCheckContext process("worker/2", &step);
  EXPECT_DEATH(std::thread(Fail).join(), "1 \\+ 1 == 3; worker/2 step=5 \\(pid");
}

TEST(CheckDeathTest, AThreadCanBeGivenTheContextOfItsCreator) {
  std::atomic<int64_t> step{6};
  const ScopedCheckContext context("worker/4", &step);
  const CheckContext creator = CheckContext::OfThisThread();
  const auto fail = [&] {
    const ScopedCheckContext of_creator(creator);
    Fail();
  };
  EXPECT_DEATH(std::thread(fail).join(), "1 \\+ 1 == 3; worker/4 step=6 \\(pid");
}

TEST(CheckContext, EndsWithItsScopeAndLongNamesAreCut) {
  EXPECT_TRUE(CheckContext::OfThisThread().is_empty());
  {
    const ScopedCheckContext outer("worker/1");
    {
      const ScopedCheckContext inner(std::string(100, 'x'));
      EXPECT_EQ(std::string(CheckContext::OfThisThread().node()), std::string(47, 'x'));
    }
    EXPECT_STREQ(CheckContext::OfThisThread().node(), "worker/1");
  }
  EXPECT_TRUE(CheckContext::OfThisThread().is_empty());
}

}  // namespace
}  // namespace ringmaster
