#include "common/codec/half_counts.h"

#include <cmath>
#include <vector>

#include "common/codec/codec.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// As the codec encodes them, at an address that is not even.
HalfTally TallyOf(const std::vector<float>& gradient) {
  CodecSpec spec;
  spec.set_name("fp16");
  SetCodecDefaults(&spec);
  const auto codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  std::vector<std::byte> bytes(2 * gradient.size() + 1);
  const auto halves = absl::MakeSpan(bytes).subspan(1);
  (*codec)->Encode({}, gradient, halves);
  return CountHalves(gradient, halves);
}

TEST(HalfCounts, TellWhatIsMoreThanARounding) {
  // 2^-25 is rounded to 0, and so is -2^-25; a true 0 stays one. 2^-24 is the smallest subnormal,
  // the largest lies just below 2^-14.
  const HalfTally tally =
      TallyOf({0.0f, -0.0f, 0x1p-25f, -0x1p-25f, 0x1p-24f, -0x1.ff8p-15f, 0x1p-14f, 1.0f, 65503.0f,
               65504.0f, -1e6f, INFINITY, -INFINITY, NAN});
  EXPECT_EQ(tally.elements, 14);
  EXPECT_EQ(tally.zeros, 2);
  EXPECT_EQ(tally.subnormals, 2);
  // 65503 rounds to 65504.
  EXPECT_EQ(tally.saturated, 3);
  EXPECT_EQ(tally.infinities, 3);
}

TEST(HalfCounts, CountEveryElementOfSlicesOfAnySize) {
  for (const size_t size : {0u, 1u, 4095u, 4096u, 4097u, 10000u}) {
    const HalfTally tally = TallyOf(std::vector<float>(size, 0x1p-20f));
    EXPECT_EQ(tally.elements, static_cast<int64_t>(size));
    EXPECT_EQ(tally.subnormals, static_cast<int64_t>(size));
    EXPECT_EQ(tally.zeros + tally.saturated + tally.infinities, 0);
  }
}

TEST(HalfCounts, AddUp) {
  HalfTally sum = TallyOf({0x1p-25f, 1.0f});
  sum.Add(TallyOf({0x1p-20f, 1e6f, INFINITY}));
  EXPECT_EQ(sum.elements, 5);
  EXPECT_EQ(sum.zeros, 1);
  EXPECT_EQ(sum.subnormals, 1);
  EXPECT_EQ(sum.saturated, 1);
  EXPECT_EQ(sum.infinities, 1);
}

}  // namespace
}  // namespace ringmaster
