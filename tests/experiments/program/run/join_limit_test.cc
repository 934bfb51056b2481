#include "experiments/program/run/join_limit.h"

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

RunSpec RingOf(int32_t workers) {
  RunSpec spec;
  spec.mutable_strategy()->mutable_all_reduce();
  spec.mutable_training()->set_workers(workers);
  return spec;
}

TEST(JoinLimit, GrowsWithTheProcessesPerCoreUnlessItIsSaid) {
  EXPECT_EQ(JoinLimitOn(2, RingOf(2)), absl::Seconds(60));
  EXPECT_EQ(JoinLimitOn(2, RingOf(12)), absl::Seconds(60));
  EXPECT_EQ(JoinLimitOn(2, RingOf(64)), absl::Seconds(320));
  EXPECT_EQ(JoinLimitOn(64, RingOf(64)), absl::Seconds(60));
  RunSpec said = RingOf(64);
  said.mutable_limits()->set_join_seconds(7);
  EXPECT_EQ(JoinLimitOn(2, said), absl::Seconds(7));
}

}  // namespace
}  // namespace ringmaster
