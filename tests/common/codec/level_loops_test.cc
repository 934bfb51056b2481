#include "common/codec/loops/level_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/codec/loops/loops.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

// Ordinary values, and now and then one that is not.
Floats StrangeFloats(size_t count, uint64_t seed) {
  constexpr float kStrange[] = {3.4e38f, -3.3895e38f, 1e-42f,  -0.0f,     0.0f,
                                NAN,     INFINITY,    -1e-30f, -INFINITY, 1.00390625f};
  Random random(seed);
  Floats values(count);
  for (float& value : values) {
    value = random.Below(9) == 0 ? kStrange[random.Below(10)]
                                 : random.Normal() * std::ldexp(1.0f, -int(random.Below(20)));
  }
  return values;
}

Floats OrdinaryFloats(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

template <class T>
void Append(const std::vector<T>& values, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// All that the loops of whole numbers make of `in`, one after the other.
std::string LevelBytes(const LevelLoops& loops, const Floats& in) {
  const size_t n = in.size();
  std::string bytes;
  std::vector<int8_t> nearest(n), drawn(n), unpacked(n);
  loops.round_nearest(in.data(), n, 1.2f, nearest.data());
  // Smaller values, which are multiplied by more than 2^100.
  Floats small = in;
  for (float& value : small) value *= 0x1p-110f;
  loops.round_random(small.data(), n, 1.2f * 0x1p110f, {Draws(78), 2000}, drawn.data());
  Append(nearest, &bytes);
  Append(drawn, &bytes);
  loops.round_random(in.data(), n, 1.2f, {Draws(77), 1000}, drawn.data());
  Append(drawn, &bytes);
  for (const int bits : {8, 5, 4, 3, 2}) {
    // As few bits as there are.
    for (int8_t& code : drawn) {
      const int most = (1 << (bits - 1)) - 1;
      code = static_cast<int8_t>(std::min(most, std::max(-most, static_cast<int>(code))));
    }
    std::vector<uint8_t> packed((n * bits + 7) / 8);
    loops.pack(drawn.data(), n, bits, packed.data());
    Append(packed, &bytes);
    const CodeRange range = loops.unpack(packed.data(), n, bits, unpacked.data());
    EXPECT_EQ(unpacked, drawn) << bits << " bits, " << n << " codes";
    int8_t least = 0, largest = 0;
    for (const int8_t code : drawn) {
      least = std::min(least, code);
      largest = std::max(largest, code);
    }
    EXPECT_TRUE(range.least == least && range.largest == largest);
  }
  Floats out(n);
  loops.scale_codes(nearest.data(), n, 0.3f, out.data());
  Append(out, &bytes);
  loops.add_codes(drawn.data(), n, 0.7f, out.data());
  Append(out, &bytes);
  return bytes;
}

// The others'.
std::string WordBytes(const LevelLoops& loops, const Floats& in) {
  const size_t n = in.size();
  std::string bytes = std::to_string(loops.largest(in.data(), n));
  std::vector<std::byte> words(2 * n);
  std::vector<uint8_t> exponents(n), signs((n + 7) / 8);
  loops.encode_bfloats(in.data(), n, words.data());
  loops.encode_powers(in.data(), n, {Draws(5), 3}, exponents.data(), signs.data());
  Append(words, &bytes);
  Append(exponents, &bytes);
  Append(signs, &bytes);
  Floats out(n);
  for (const auto loop : {loops.decode_bfloats, loops.add_bfloats, loops.subtract_bfloats}) {
    bytes += loop(words.data(), n, out.data()) ? "finite" : "not";
    Append(out, &bytes);
  }
  for (const auto loop : {loops.decode_powers, loops.add_powers, loops.subtract_powers}) {
    bytes += loop(exponents.data(), signs.data(), n, out.data()) ? "finite" : "not";
    Append(out, &bytes);
  }
  const SignSums sums = loops.pack_signs_apart(in.data(), n, signs.data());
  Append(std::vector<double>{sums.positive, sums.negative, loops.sum_of_squares(in.data(), n)},
         &bytes);
  Append(signs, &bytes);
  const float values[2] = {0.5f, -0.25f};
  loops.choose(signs.data(), n, values, out.data());
  Append(out, &bytes);
  loops.add_chosen(signs.data(), n, values, out.data());
  Append(out, &bytes);
  return bytes;
}

TEST(LevelLoops, OfAllInstructionSetsGiveTheSameBits) {
  const LevelLoops* const wide = Avx512LevelLoops();
  if (wide == nullptr) GTEST_SKIP() << "this machine has one instruction set";
  for (size_t count = 0; count < 200; ++count) {
    const Floats ordinary = OrdinaryFloats(count, count);
    ASSERT_TRUE(LevelBytes(*wide, ordinary) == LevelBytes(Avx2LevelLoops(), ordinary)) << count;
    ASSERT_TRUE(WordBytes(*wide, ordinary) == WordBytes(Avx2LevelLoops(), ordinary)) << count;
    const Floats strange = StrangeFloats(count, count);
    ASSERT_TRUE(WordBytes(*wide, strange) == WordBytes(Avx2LevelLoops(), strange)) << count;
  }
}

// By the definition, one element at a time.
TEST(LevelLoops, RoundToTheNearestAndAtRandomAsTheirTextSays) {
  const Floats in = OrdinaryFloats(5000, 9);
  std::vector<int8_t> codes(in.size());
  const LevelLoops& loops = BestLevelLoops();
  loops.round_nearest(in.data(), in.size(), 4, codes.data());
  for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(codes[i], std::nearbyint(in[i] * 4)) << in[i];
  const Draws draws(0x123456789ABCDEFu);
  loops.round_random(in.data(), in.size(), 4, {draws, 50}, codes.data());
  for (size_t i = 0; i < in.size(); ++i) {
    const double place = std::nearbyint(in[i] * 4 * 0x1p24);
    const double share = draws.Of(50, static_cast<uint32_t>(i));
    ASSERT_EQ(codes[i], std::floor((place + share) * 0x1p-24)) << in[i];
  }
  std::vector<uint8_t> exponents(in.size()), signs((in.size() + 7) / 8);
  loops.encode_powers(in.data(), in.size(), {draws, 50}, exponents.data(), signs.data());
  for (size_t i = 0; i < in.size(); ++i) {
    const double magnitude = std::fabs(in[i]);
    const double below = std::ldexp(1.0, std::ilogb(magnitude));
    const double share = (draws.Of(50, static_cast<uint32_t>(i)) >> 1) * 0x1p-23;
    const double power = magnitude / below - 1 + share >= 1 ? 2 * below : below;
    ASSERT_EQ(std::ldexp(1.0, exponents[i] - 127), power) << in[i];
  }
}

TEST(LevelLoops, SumBothSignsApartAndLoseNoNaN) {
  for (const LevelLoops* loops : {&Avx2LevelLoops(), &BestLevelLoops()}) {
    for (const size_t count : {0, 1, 15, 16, 17, 1003}) {
      Floats in = OrdinaryFloats(count, 6);
      std::vector<uint8_t> signs((count + 7) / 8);
      long double positive = 0, negative = 0, squares = 0;
      for (const float value : in) {
        (value > 0 ? positive : negative) += std::fabs(value);
        squares += static_cast<long double>(value) * value;
      }
      const SignSums sums = loops->pack_signs_apart(in.data(), count, signs.data());
      EXPECT_NEAR(sums.positive, static_cast<double>(positive), 1e-12 * count);
      EXPECT_NEAR(sums.negative, static_cast<double>(negative), 1e-12 * count);
      EXPECT_NEAR(loops->sum_of_squares(in.data(), count), static_cast<double>(squares),
                  1e-12 * count);
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(signs[i / 8] >> (i % 8) & 1, in[i] < 0);
      for (const size_t where : {size_t{0}, count / 2, count - 1}) {
        if (where >= count) continue;
        for (const float strange : {NAN, INFINITY, -INFINITY}) {
          Floats bent = in;
          bent[where] = strange;
          const SignSums of = loops->pack_signs_apart(bent.data(), count, signs.data());
          EXPECT_FALSE(std::isfinite(of.positive + of.negative)) << strange << " at " << where;
        }
      }
    }
  }
}

TEST(Draws, AreUniformInEveryBitAndIndependentOfTheirNeighbours) {
  // Of 2^16 draws each bit, and each bit's agreement with that of the next element, of the one that
  // shares its word, and of one of a stretch further on, is set in half of them, within 5 standard
  // errors of 128; with seeds that differ in one bit too.
  constexpr int kCount = 1 << 16;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, ~uint64_t{0}}) {
    const Draws draws(seed), other(seed ^ 1);
    for (int bit = 0; bit < 24; ++bit) {
      int set = 0, next = 0, sharing = 0, far = 0, alike = 0;
      for (uint32_t i = 0; i < kCount; ++i) {
        const uint32_t here = draws.Of(9, i) >> bit & 1;
        set += here;
        next += here == (draws.Of(9, i + 1) >> bit & 1);
        sharing += here == (draws.Of(9, i ^ Draws::kApart) >> bit & 1);
        far += here == (draws.Of(9 + kCount, i) >> bit & 1);
        alike += here == (other.Of(9, i) >> bit & 1);
      }
      EXPECT_NEAR(set, kCount / 2, 5 * 128) << "seed " << seed << " bit " << bit;
      for (const int count : {next, far, alike})
        EXPECT_NEAR(count, kCount / 2, 5 * 128) << "seed " << seed << " bit " << bit;
      // Every pair is counted twice.
      EXPECT_NEAR(sharing, kCount / 2, 5 * 128 * std::sqrt(2.0))
          << "seed " << seed << " bit " << bit;
    }
  }
}

// What two elements of one word have in common must not show in what they round to: the sum of two
// roundings varies as much as both alone.
TEST(Draws, OfTwoElementsOfOneWordRoundIndependently) {
  constexpr uint32_t kCount = 1 << 20;
  const Draws draws(4);
  for (const double share : {0.5, 0.1, 1.0 / 256, 255.0 / 256}) {
    const auto limit = static_cast<uint32_t>(share * 0x1p24);
    double both = 0, ones = 0;
    for (uint32_t i = 0; i < kCount; ++i) {
      if ((i & Draws::kApart) != 0) continue;
      const bool a = draws.Of(0, i) < limit, b = draws.Of(0, i + Draws::kApart) < limit;
      both += a && b ? 1 : 0;
      ones += (a ? 1 : 0) + (b ? 1 : 0);
    }
    const double pairs = kCount / 2.0, p = share * share;
    EXPECT_NEAR(ones, kCount * share, 5 * std::sqrt(kCount * share * (1 - share))) << share;
    EXPECT_NEAR(both, pairs * p, 5 * std::sqrt(pairs * p * (1 - p))) << share;
  }
}

TEST(Draws, OfAStretchTakeNoWordOfTheNext) {
  const Draws draws(3);
  for (const uint32_t count : {1, 3, 15, 16, 17, 31, 32, 33, 512}) {
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t number = i / (2 * Draws::kApart) * Draws::kApart + i % Draws::kApart;
      EXPECT_LT(number, count);
      EXPECT_TRUE(draws.Of(7, i) == draws.Word(7 + number) >> 8 || i % 32 >= 16);
    }
  }
}

}  // namespace
}  // namespace ringmaster
