#include "common/codec/level_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/codec/loops.h"
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
  loops.round_nearest(in.data(), n, {1.7f, 7}, nearest.data());
  loops.round_random(in.data(), n, {1.7f, 7}, {Draws(77), 1000}, drawn.data());
  Append(nearest, &bytes);
  Append(drawn, &bytes);
  for (const int bits : {4, 5, 8}) {
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
  const double sum = loops.sum_positive(in.data(), n);
  bytes.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
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
  loops.round_nearest(in.data(), in.size(), {4, 7}, codes.data());
  for (size_t i = 0; i < in.size(); ++i)
    ASSERT_EQ(codes[i], std::min(7.0f, std::max(-7.0f, std::nearbyint(in[i] * 4)))) << in[i];
  const Draws draws(0x123456789ABCDEFu);
  loops.round_random(in.data(), in.size(), {4, 7}, {draws, 50}, codes.data());
  for (size_t i = 0; i < in.size(); ++i) {
    const float place = std::min(7.0f, std::max(-7.0f, in[i] * 4));
    const float below = std::floor(place);
    const float share = static_cast<float>(draws.At(50 + static_cast<uint32_t>(i)) >> 8) * 0x1p-24f;
    ASSERT_EQ(codes[i], below + (share < place - below ? 1 : 0)) << in[i];
  }
}

TEST(Draws, AreUniformInEveryBitAndIndependentOfTheirNeighbours) {
  // Of 2^16 draws each bit, and each bit's agreement with the next element's, is set in half of
  // them, within 5 standard errors of 128; with seeds that differ in one bit too.
  constexpr int kCount = 1 << 16;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, ~uint64_t{0}}) {
    const Draws draws(seed), other(seed ^ 1);
    for (int bit = 0; bit < 32; ++bit) {
      int set = 0, agree = 0, alike = 0;
      for (uint32_t i = 0; i < kCount; ++i) {
        const uint32_t here = draws.At(i) >> bit & 1;
        set += here;
        agree += here == (draws.At(i + 1) >> bit & 1);
        alike += here == (other.At(i) >> bit & 1);
      }
      for (const int count : {set, agree, alike})
        EXPECT_NEAR(count, kCount / 2, 5 * 128) << "seed " << seed << " bit " << bit;
    }
  }
}

}  // namespace
}  // namespace ringmaster
