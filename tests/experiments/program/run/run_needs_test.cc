#include "experiments/program/run/run_needs.h"

#include <string>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kParameters = 1'000'000;
constexpr int64_t kArena = 4 * kParameters;  // bytes

RunSpec SpecOf(const std::string& arm) {
  RunSpec base;
  base.mutable_training()->set_steps(10);
  base.mutable_training()->set_workers(2);
  base.mutable_training()->set_kernels("cpu");
  return *Resolve(*MakeArm(arm, base), {"/data", 0});
}

TEST(LeastAddressSpace, GrowsByAnArenaForWhatIsKeptOfTheWeightsAndGradients) {
  const int64_t ring = LeastAddressSpace(SpecOf("ring"), kParameters);
  EXPECT_EQ(ring, LeastAddressSpace(SpecOf("ring"), 0) + 2 * kArena);
  EXPECT_EQ(LeastAddressSpace(SpecOf("delayed"), kParameters), ring + kArena);
}

TEST(LeastAddressSpace, HasAnArenaMoreForWhatEmulatedGradientsAreCopiedFrom) {
  RunSpec emulated = SpecOf("ring");
  emulated.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
  EXPECT_EQ(LeastAddressSpace(emulated, kParameters),
            LeastAddressSpace(SpecOf("ring"), kParameters) + kArena);
}

}  // namespace
}  // namespace ringmaster
