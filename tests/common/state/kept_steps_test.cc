#include "common/state/kept_steps.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

State Numbered(int64_t number) {
  State state;
  state.AddInteger("number", number);
  return state;
}

int64_t NumberOf(const State& state) {
  int64_t number = -1;
  EXPECT_TRUE(state.CopyTo({{"number", &number}}).ok());
  return number;
}

TEST(KeptSteps, AreTheLastTwo) {
  KeptSteps kept;
  EXPECT_TRUE(kept.steps().empty());
  for (const int64_t step : {3, 4, 7}) kept.Keep(step, Numbered(10 * step));
  EXPECT_EQ(kept.steps(), (std::vector<int64_t>{4, 7}));
  EXPECT_EQ(NumberOf(kept.Take(4)), 40);
  EXPECT_TRUE(kept.steps().empty()) << "what follows is of another formation";
  kept.Keep(4, Numbered(41));
  EXPECT_EQ(NumberOf(kept.Take(4)), 41);
}

}  // namespace
}  // namespace ringmaster
