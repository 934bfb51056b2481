#include "common/codec/rice.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "common/codec/kept_count.h"
#include "common/codec/shared_draw.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Bytes = std::vector<std::byte>;
using Indices = std::vector<int32_t>;

Bytes Encode(int64_t count, const Indices& indices) {
  Bytes bytes(MaxRiceBytes(count, static_cast<int64_t>(indices.size())));
  bytes.resize(EncodeRice(count, indices, absl::MakeSpan(bytes)));
  return bytes;
}

absl::Status Decode(int64_t count, const Bytes& bytes, Indices* indices) {
  return DecodeRice(count, bytes, absl::MakeSpan(*indices));
}

Indices Drawn(uint64_t seed, int64_t count, int64_t kept) {
  Indices indices;
  DrawElements(seed, count, kept, &indices);
  return indices;
}

Bytes Of(std::vector<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(Rice, WritesTheBitsThatItsDefinitionSays) {
  // 2 of 16: the parameter is 2, since 2 * 4 <= 0.4812 * 30 < 2 * 8. Gaps 1 and 3: a stop bit and
  // 1, 0; a stop bit and 1, 1.
  EXPECT_EQ(RiceParameter(16, 2), 2);
  EXPECT_EQ(Encode(16, {1, 5}), Of({0b00110010}));
  // Gap 9: two ones, a stop bit and 1, 0; then gap 0.
  EXPECT_EQ(Encode(16, {9, 10}), Of({0b00001011}));
  EXPECT_EQ(RiceParameter(100, 1), 6);
  EXPECT_EQ(RiceParameter(100, 100), 0);
  EXPECT_EQ(Encode(3, {0, 1, 2}), Of({0}));
  EXPECT_EQ(Encode(100, {}), Bytes());
}

TEST(Rice, ComesBackWhateverIsChosenAndKeepsWithinItsLimit) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    const auto count = static_cast<int64_t>(1 + random.Below(3000));
    const auto kept = static_cast<int64_t>(1 + random.Below(static_cast<uint64_t>(count)));
    Indices indices = Drawn(seed, count, kept);
    if (seed % 3 == 1) {  // the last ones: the longest first code
      for (int64_t i = 0; i < kept; ++i) indices[i] = static_cast<int32_t>(count - kept + i);
    }
    const Bytes bytes = Encode(count, indices);
    Indices back(indices.size());
    ASSERT_TRUE(Decode(count, bytes, &back).ok()) << "seed " << seed;
    ASSERT_EQ(back, indices) << "seed " << seed;
  }
}

// docs/THEORY.md, "Indices of top-k": 11.50, 8.11 and 4.76 bits.
TEST(Rice, TakesTheBitsOfTheTheoryOfElementsDrawnAtRandom) {
  constexpr int64_t kCount = 1'000'000;
  for (const double density : {0.001, 0.01, 0.1}) {
    const int64_t kept = KeptCount(density, kCount);
    const double bits = 8.0 * static_cast<double>(Encode(kCount, Drawn(7, kCount, kept)).size()) /
                        static_cast<double>(kept);
    const double low = RiceParameter(kCount, kept);
    const double run = std::pow(1 - density, std::exp2(low));
    EXPECT_NEAR(bits, low + 1 + run / (1 - run), 0.05) << density;
    if (density == 0.01) {
      EXPECT_NEAR(32 + bits, 40.1, 0.05);  // a pair, of 64 as it is without
    }
  }
}

TEST(Rice, RefusesWhatItDoesNotWrite) {
  const Indices indices = {3, 4, 90};
  const Bytes bytes = Encode(100, indices);
  Indices back(3);
  EXPECT_TRUE(Decode(100, bytes, &back).ok());
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_TRUE(absl::IsInvalidArgument(Decode(100, longer, &back)));
  Bytes shorter = bytes;
  shorter.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(Decode(100, shorter, &back)));
  Bytes padded = bytes;
  padded.back() |= std::byte{0x80};
  EXPECT_TRUE(absl::IsInvalidArgument(Decode(100, padded, &back)));
  // A run of ones that leads beyond the last element, and one that never ends.
  EXPECT_TRUE(absl::StrContains(Decode(100, Of({0xFF, 0x0F, 0, 0}), &back).message(), "below 100"));
  EXPECT_TRUE(absl::IsInvalidArgument(Decode(100, Bytes(1000, std::byte{0xFF}), &back)));
  Indices none;
  EXPECT_TRUE(Decode(100, {}, &none).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Decode(100, Of({0}), &none)));
}

// Whatever is taken is what would be written of what comes out: no two encodings mean the same.
TEST(Rice, TakesOfMutatedBytesOnlyWhatItWouldWriteItself) {
  int taken = 0;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed);
    const auto count = static_cast<int64_t>(1 + random.Below(200));
    const auto kept = static_cast<int64_t>(1 + random.Below(static_cast<uint64_t>(count)));
    Bytes bytes = Encode(count, Drawn(seed, count, kept));
    if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size() + 4));
    for (uint64_t changes = 1 + random.Below(3); changes > 0 && !bytes.empty(); --changes)
      bytes[random.Below(bytes.size())] ^= static_cast<std::byte>(1u << random.Below(8));
    Indices indices(kept);
    const absl::Status status = Decode(count, bytes, &indices);
    if (!status.ok()) {
      ASSERT_TRUE(absl::IsInvalidArgument(status)) << "seed " << seed;
      continue;
    }
    ++taken;
    for (int64_t i = 0; i < kept; ++i) {
      ASSERT_LT(indices[i], count) << "seed " << seed;
      ASSERT_GT(indices[i], i == 0 ? -1 : indices[i - 1]) << "seed " << seed;
    }
    ASSERT_EQ(Encode(count, indices), bytes) << "seed " << seed;
  }
  EXPECT_GT(taken, 500);
}

TEST(DrawElements, EverySubsetIsEquallyLikelyAndTheSameSeedDrawsItAgain) {
  // All 10 subsets of 3 of 5; 4 standard deviations of a count of 10 000 in 100 000 are 380.
  std::vector<int> counts(32, 0);
  for (uint64_t seed = 0; seed < 100'000; ++seed) {
    int mask = 0;
    for (const int32_t index : Drawn(seed, 5, 3)) mask |= 1 << index;
    ++counts[mask];
  }
  int subsets = 0;
  for (int mask = 0; mask < 32; ++mask) {
    if (__builtin_popcount(mask) != 3) {
      EXPECT_EQ(counts[mask], 0) << mask;
      continue;
    }
    ++subsets;
    EXPECT_NEAR(counts[mask], 10'000, 380) << mask;
  }
  EXPECT_EQ(subsets, 10);
  EXPECT_EQ(Drawn(3, 1000, 10), Drawn(3, 1000, 10));
  EXPECT_NE(Drawn(3, 1000, 10), Drawn(4, 1000, 10));
  EXPECT_EQ(Drawn(3, 4, 4), (Indices{0, 1, 2, 3}));
  EXPECT_EQ(Drawn(3, 4, 0), Indices());
  EXPECT_EQ(Drawn(3, 128, 128).size(), 128u);
}

}  // namespace
}  // namespace ringmaster
