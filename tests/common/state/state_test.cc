#include "common/state/state.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

State Example() {
  State state;
  state.AddFloats("first", Floats{1, 2, 3});
  state.AddInteger("updates", int64_t{1} << 60);
  state.AddInteger("norm", 5);
  return state;
}

TEST(State, GivesBackEveryArrayAndNumberWhateverTheOrder) {
  Floats first(3);
  int64_t updates = 0;
  int64_t norm = 0;
  ASSERT_TRUE(
      Example()
          .CopyTo({{"norm", &norm}, {"first", absl::MakeSpan(first)}, {"updates", &updates}})
          .ok());
  EXPECT_EQ(first, (Floats{1, 2, 3}));
  EXPECT_EQ(updates, int64_t{1} << 60);
  EXPECT_EQ(norm, 5);
  EXPECT_EQ(Example().entries()[1].name, "updates");
  EXPECT_TRUE(State().CopyTo({}).ok());
}

TEST(State, APartIsTakenOutAsItWasPutIn) {
  State whole;
  whole.AddInteger("inner", 1);  // no part of "inner"
  whole.AddPart("inner", Example());
  whole.AddIntegers("clocks", {4, 5});
  State part = whole.TakePart("inner");
  ASSERT_EQ(part.entries().size(), 3u);
  EXPECT_EQ(part.entries()[0].name, "first");
  EXPECT_EQ(std::get<Floats>(part.entries()[0].value), (Floats{1, 2, 3}));
  EXPECT_TRUE(whole.TakePart("inner").entries().empty());
  int64_t inner = 0;
  std::vector<int64_t> clocks(2);
  ASSERT_TRUE(whole.CopyTo({{"clocks", absl::MakeSpan(clocks)}, {"inner", &inner}}).ok());
  EXPECT_EQ(inner, 1);
  EXPECT_EQ(clocks, (std::vector<int64_t>{4, 5}));
  clocks.resize(3);
  EXPECT_THAT(
      std::string(whole.CopyTo({{"clocks", absl::MakeSpan(clocks)}, {"inner", &inner}}).message()),
      HasSubstr("\"clocks\": it is 2 integers, expected 3 integers"));
}

TEST(State, ACopyDoesNotChangeWithTheArrayThatItWasMadeOf) {
  Floats values = {1, 2};
  State state;
  state.AddFloats("values", values);
  values[0] = 9;
  Floats out(2);
  ASSERT_TRUE(state.CopyTo({{"values", absl::MakeSpan(out)}}).ok());
  EXPECT_EQ(out, (Floats{1, 2}));
}

TEST(State, NamesBothWhereNameKindOrSizeDiffersAndWritesNothing) {
  Floats three(3, 7.0f), four(4, 7.0f);
  int64_t updates = 7;
  int64_t norm = 7;
  const auto refusal = [](std::initializer_list<StateSlot> slots) {
    const absl::Status status = Example().CopyTo(slots);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const StateSlot first{"first", absl::MakeSpan(three)};
  EXPECT_THAT(
      refusal({first, {"updates", &updates}, {"velocity", &norm}}),
      HasSubstr(
          "without \"velocity\", which is expected; it has \"first\", \"updates\", \"norm\""));
  EXPECT_THAT(refusal({first, {"norm", &norm}}),
              HasSubstr("with \"updates\", which nobody takes; expected \"first\", \"norm\""));
  EXPECT_THAT(refusal({}), HasSubstr("with \"first\", which nobody takes; expected nothing"));
  EXPECT_THAT(refusal({{"norm", &norm}, {"updates", &updates}, {"first", absl::MakeSpan(four)}}),
              HasSubstr("\"first\": it is 3 floats, expected 4 floats"));
  EXPECT_THAT(refusal({first, {"norm", &norm}, {"updates", absl::MakeSpan(four)}}),
              HasSubstr("\"updates\": it is an integer, expected 4 floats"));
  EXPECT_EQ(three, Floats(3, 7.0f));
  EXPECT_EQ(updates, 7);
  EXPECT_EQ(norm, 7);
}

TEST(StateDeathTest, ANameIsTakenOnce) {
  State state = Example();
  EXPECT_DEATH(state.AddInteger("first", 1), "");
  EXPECT_DEATH(state.AddInteger("", 1), "");
}

TEST(State, MemoryOfLargeArraysIsUsedAgainWhileSomebodyKeepsIt) {
  const Floats large(1 << 20, 1), other(1 << 20, 2);
  const auto place_of = [](const State& state) {
    return std::get<Floats>(state.entries()[0].value).data();
  };
  const KeptStateMemory kept;
  const float* place = nullptr;
  {
    State state;
    state.AddFloats("weights", large);
    place = place_of(state);
    State moved = std::move(state);
    EXPECT_EQ(place_of(moved), place);
  }
  State copied;
  copied.AddFloats("weights", other);
  EXPECT_EQ(place_of(copied), place);
  EXPECT_EQ(std::get<Floats>(copied.entries()[0].value), other);
  // Whoever copies a state has an array of his own.
  const State copy = copied;
  EXPECT_NE(place_of(copy), place);
  State smaller;
  smaller.AddFloats("weights", absl::MakeConstSpan(other).first(1 << 19));
  EXPECT_EQ(smaller.bytes(), 4 << 19);
}

}  // namespace
}  // namespace ringmaster
