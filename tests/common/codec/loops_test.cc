#include "common/codec/loops/loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

// Ordinary values, and now and then one that is not: beyond the halves' range, subnormal, infinite,
// NaN, -0.
Floats StrangeFloats(size_t count, uint64_t seed) {
  constexpr float kStrange[] = {65504.0f, 65520.0f, -1e30f, 1e-7f,    -1e-42f,
                                -0.0f,    0.0f,     NAN,    INFINITY, -INFINITY};
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

// The same bits, NaNs included.
bool SameBits(const Floats& a, const Floats& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Everything the loops make of `in` and `residual`.
struct Outcome {
  Bytes halves, corrected_halves, scaled_halves;
  Floats left_by_halves, decoded_halves, added_halves, added_scaled;
  std::vector<uint8_t> signs, corrected_signs;
  double sum = 0, corrected_sum = 0;
  Floats corrected, unpacked, added_signs;
  std::vector<int32_t> indices, corrected_indices;
  Floats values, corrected_values, corrected_by_collect;
  bool corrected_is_finite = false, decoded_is_finite = false, added_is_finite = false;
  bool scaled_is_within = false;
};

Outcome RunLoops(const CodecLoops& loops, const Floats& in, const Floats& residual, int32_t above) {
  const size_t n = in.size();
  Outcome out;
  out.halves.resize(2 * n);
  out.corrected_halves.resize(2 * n);
  loops.encode_halves(in.data(), n, {}, out.halves.data());
  out.left_by_halves = residual;
  out.corrected_is_finite = loops.encode_halves_corrected(in.data(), out.left_by_halves.data(), n,
                                                          out.corrected_halves.data());
  out.decoded_halves.resize(n);
  out.decoded_is_finite = loops.decode_halves(out.halves.data(), n, {}, out.decoded_halves.data());
  out.added_halves = residual;
  out.added_is_finite = loops.add_halves(out.halves.data(), n, {}, out.added_halves.data());
  out.scaled_halves.resize(2 * n);
  loops.encode_halves(in.data(), n, {0x1p7f, 100}, out.scaled_halves.data());
  out.added_scaled = residual;
  out.scaled_is_within =
      loops.add_halves(out.scaled_halves.data(), n, {-0x1p-7f, 99}, out.added_scaled.data());

  out.signs.assign((n + 7) / 8, 0xFF);
  out.corrected_signs = out.signs;
  out.sum = loops.pack_signs(in.data(), n, out.signs.data());
  out.corrected = residual;
  out.corrected_sum =
      loops.pack_signs_corrected(in.data(), out.corrected.data(), n, out.corrected_signs.data());
  out.unpacked.resize(n);
  loops.unpack_signs(out.signs.data(), 0.3f, n, out.unpacked.data());
  out.added_signs = residual;
  loops.add_signs(out.signs.data(), 0.3f, n, out.added_signs.data());

  const auto collect = [&](const auto& run, std::vector<int32_t>* indices, Floats* values) {
    indices->resize(n + kCollectBlock);
    values->resize(n + kCollectBlock);
    Candidates candidates{indices->data(), values->data(), 0, indices->size()};
    EXPECT_EQ(run(&candidates), n);
    indices->resize(candidates.count);
    values->resize(candidates.count);
  };
  collect([&](Candidates* candidates) { return loops.collect(in.data(), 0, n, above, candidates); },
          &out.indices, &out.values);
  out.corrected_by_collect = residual;
  collect(
      [&](Candidates* candidates) {
        return loops.collect_corrected(in.data(), out.corrected_by_collect.data(), 0, n, above,
                                       candidates);
      },
      &out.corrected_indices, &out.corrected_values);
  return out;
}

void ExpectSame(const Outcome& a, const Outcome& b, const std::string& what) {
  EXPECT_EQ(a.halves, b.halves) << what;
  EXPECT_EQ(a.corrected_halves, b.corrected_halves) << what;
  EXPECT_TRUE(SameBits(a.left_by_halves, b.left_by_halves)) << what;
  EXPECT_TRUE(SameBits(a.decoded_halves, b.decoded_halves)) << what;
  EXPECT_TRUE(SameBits(a.added_halves, b.added_halves)) << what;
  EXPECT_EQ(a.scaled_halves, b.scaled_halves) << what;
  EXPECT_TRUE(SameBits(a.added_scaled, b.added_scaled)) << what;
  EXPECT_EQ(a.scaled_is_within, b.scaled_is_within) << what;
  EXPECT_EQ(a.corrected_is_finite, b.corrected_is_finite) << what;
  EXPECT_EQ(a.decoded_is_finite, b.decoded_is_finite) << what;
  EXPECT_EQ(a.added_is_finite, b.added_is_finite) << what;
  EXPECT_EQ(a.signs, b.signs) << what;
  EXPECT_EQ(a.corrected_signs, b.corrected_signs) << what;
  EXPECT_EQ(std::memcmp(&a.sum, &b.sum, sizeof(double)), 0)
      << what << ": " << a.sum << " and " << b.sum;
  EXPECT_EQ(std::memcmp(&a.corrected_sum, &b.corrected_sum, sizeof(double)), 0) << what;
  EXPECT_TRUE(SameBits(a.corrected, b.corrected)) << what;
  EXPECT_TRUE(SameBits(a.unpacked, b.unpacked)) << what;
  EXPECT_TRUE(SameBits(a.added_signs, b.added_signs)) << what;
  EXPECT_EQ(a.indices, b.indices) << what;
  EXPECT_TRUE(SameBits(a.values, b.values)) << what;
  EXPECT_EQ(a.corrected_indices, b.corrected_indices) << what;
  EXPECT_TRUE(SameBits(a.corrected_values, b.corrected_values)) << what;
  EXPECT_TRUE(SameBits(a.corrected_by_collect, b.corrected_by_collect)) << what;
}

constexpr size_t kCounts[] = {0,  1,  7,  8,  9,  15,  16,  17,   31,
                              32, 33, 63, 64, 65, 127, 129, 1000, 4099};

TEST(CodecLoops, EveryInstructionSetGivesTheSameBits) {
  if (Avx512Loops() == nullptr) GTEST_SKIP() << "this machine has the baseline alone";
  for (const size_t count : kCounts) {
    for (const int32_t above : {-1, 0, MagnitudeOf(0.5f), MagnitudeOf(2.0f), 0x7FFFFFFF}) {
      const std::string what = std::to_string(count) + " elements, above " + std::to_string(above);
      const Floats strange = StrangeFloats(count, count), left = StrangeFloats(count, count + 1);
      ExpectSame(RunLoops(Avx2Loops(), strange, left, above),
                 RunLoops(*Avx512Loops(), strange, left, above), what);
      const Floats ordinary = OrdinaryFloats(count, count), rest = OrdinaryFloats(count, count + 1);
      ExpectSame(RunLoops(Avx2Loops(), ordinary, rest, above),
                 RunLoops(*Avx512Loops(), ordinary, rest, above), what);
    }
  }
}

// Of the sums and selections; what becomes of single elements the codecs' tests say.
TEST(CodecLoops, TheBaselineIsWhatTheHeaderSays) {
  for (const size_t count : kCounts) {
    const Floats in = OrdinaryFloats(count, count), residual = OrdinaryFloats(count, count + 1);
    const int32_t above = MagnitudeOf(0.7f);
    const Outcome out = RunLoops(Avx2Loops(), in, residual, above);
    double lanes[32] = {};
    std::vector<int32_t> indices;
    for (size_t i = 0; i < count; ++i) {
      lanes[i % 32] += std::fabs(double{in[i]});
      if (std::fabs(in[i]) > 0.7f) indices.push_back(static_cast<int32_t>(i));
      ASSERT_EQ(out.corrected[i], residual[i] + in[i]);
      ASSERT_EQ(out.signs[i / 8] >> (i % 8) & 1, in[i] < 0);
      ASSERT_EQ(out.corrected_signs[i / 8] >> (i % 8) & 1, residual[i] + in[i] < 0);
    }
    for (size_t width = 16; width > 0; width /= 2) {
      for (size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
    }
    EXPECT_EQ(out.sum, lanes[0]) << count;
    EXPECT_EQ(out.indices, indices) << count;
    EXPECT_TRUE(count % 8 == 0 || out.signs.back() >> (count % 8) == 0) << "bits past the end";
  }
}

// The value that a half's bits stand for, from the definition of binary16.
double HalfValue(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  return exponent == 0 ? sign * std::ldexp(fraction, -24)
                       : sign * std::ldexp(1024 + fraction, exponent - 25);
}

bool IsFiniteHalf(uint16_t bits) { return (bits & 0x7C00) != 0x7C00; }

std::vector<uint16_t> EncodedHalves(const CodecLoops& loops, const Floats& in) {
  std::vector<uint16_t> halves(in.size());
  loops.encode_halves(in.data(), in.size(), {}, reinterpret_cast<std::byte*>(halves.data()));
  return halves;
}

std::vector<const CodecLoops*> EverySet() { return {&Avx2Loops(), &BestLoops()}; }

TEST(CodecLoops, EveryFiniteHalfSurvivesTheWayThroughFloat) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  for (const CodecLoops* loops : EverySet()) {
    Floats floats(all.size());
    EXPECT_FALSE(loops->decode_halves(reinterpret_cast<const std::byte*>(all.data()), all.size(),
                                      {}, floats.data()));
    const std::vector<uint16_t> back = EncodedHalves(*loops, floats);
    for (size_t i = 0; i < all.size(); ++i) {
      if (!IsFiniteHalf(all[i])) {
        ASSERT_FALSE(std::isfinite(floats[i])) << loops->name;
        ASSERT_FALSE(IsFiniteHalf(back[i])) << loops->name << ": infinities and NaNs are passed on";
        continue;
      }
      ASSERT_EQ(floats[i], HalfValue(all[i])) << loops->name;
      ASSERT_EQ(back[i], all[i]) << loops->name;
    }
  }
}

TEST(CodecLoops, HalvesStopAtTheLargestInBodyAndTail) {
  for (const CodecLoops* loops : EverySet()) {
    for (const float value :
         {65504.0f, 65519.0f, 65520.0f, 1e30f, std::numeric_limits<float>::max()}) {
      for (const size_t count : {11, 27}) {
        Floats in;
        for (size_t i = 0; i < count; ++i) in.push_back(i % 2 == 0 ? value : -value);
        const std::vector<uint16_t> out = EncodedHalves(*loops, in);
        for (size_t i = 0; i < count; ++i) {
          ASSERT_EQ(HalfValue(out[i]), in[i] > 0 ? 65504 : -65504) << loops->name << " " << value;
        }
      }
    }
  }
}

TEST(CodecLoops, HalvesAreAddedAsFloats) {
  for (const CodecLoops* loops : EverySet()) {
    for (const size_t count : {1, 8, 13, 256}) {
      const std::vector<uint16_t> a = EncodedHalves(*loops, OrdinaryFloats(count, 4));
      const std::vector<uint16_t> b = EncodedHalves(*loops, OrdinaryFloats(count, 5));
      Floats sums(count);
      EXPECT_TRUE(loops->decode_halves(reinterpret_cast<const std::byte*>(a.data()), count, {},
                                       sums.data()));
      EXPECT_TRUE(
          loops->add_halves(reinterpret_cast<const std::byte*>(b.data()), count, {}, sums.data()));
      for (size_t i = 0; i < count; ++i)
        ASSERT_EQ(sums[i], static_cast<float>(HalfValue(a[i]) + HalfValue(b[i])));
    }
  }
}

TEST(CodecLoops, ScaledHalvesStopAtTheirLargestAndAreRefusedAboveIt) {
  for (const CodecLoops* loops : EverySet()) {
    for (const size_t count : {3, 16, 29}) {
      Floats in(count, 0.75f), out(count, 1.0f);
      in.back() = -40.0f;
      std::vector<uint16_t> halves(count);
      std::byte* const bytes = reinterpret_cast<std::byte*>(halves.data());
      loops->encode_halves(in.data(), count, {4, 100}, bytes);
      for (size_t i = 0; i < count; ++i)
        ASSERT_EQ(HalfValue(halves[i]), i + 1 < count ? 3.0 : -100.0) << loops->name;
      EXPECT_TRUE(loops->add_halves(bytes, count, {0.25f, 100}, out.data()));
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], i + 1 < count ? 1.75f : -24.0f);
      EXPECT_TRUE(loops->decode_halves(bytes, count, {0.25f, 100}, out.data()));
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], i + 1 < count ? 0.75f : -25.0f);
      EXPECT_FALSE(loops->decode_halves(bytes, count, {0.25f, 99}, out.data())) << count;
    }
  }
}

TEST(CodecLoops, MagnitudesAreSummedInDoublePrecision) {
  for (const CodecLoops* loops : EverySet()) {
    const auto sum_of = [&](const Floats& values) {
      std::vector<uint8_t> bits((values.size() + 7) / 8);
      return loops->pack_signs(values.data(), values.size(), bits.data());
    };
    for (const size_t count : {0, 1, 7, 8, 9, 1003}) {
      const Floats values = OrdinaryFloats(count, 6);
      long double expected = 0;
      for (const float value : values) expected += std::fabs(value);
      EXPECT_NEAR(sum_of(values), static_cast<double>(expected), 1e-12 * count);
    }
    const float largest = std::numeric_limits<float>::max();
    EXPECT_EQ(sum_of(Floats(3, -largest)), 3.0 * largest);
    EXPECT_TRUE(std::isnan(sum_of(Floats{1, NAN})));
  }
}

TEST(CodecLoops, SignsSurvivePackingAndTheRestOfTheLastByteIsZero) {
  for (const CodecLoops* loops : EverySet()) {
    for (const size_t count : {1, 7, 8, 9, 64, 1003}) {
      const Floats in = OrdinaryFloats(count, 7);
      std::vector<uint8_t> bits((count + 7) / 8, 0xFF);
      loops->pack_signs(in.data(), count, bits.data());
      Floats out(count), sum(count, 1.0f);
      loops->unpack_signs(bits.data(), 0.25f, count, out.data());
      loops->add_signs(bits.data(), 0.25f, count, sum.data());
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(out[i], in[i] < 0 ? -0.25f : 0.25f);
        ASSERT_EQ(sum[i], in[i] < 0 ? 0.75f : 1.25f);
      }
      EXPECT_TRUE(count % 8 == 0 || bits.back() >> (count % 8) == 0);
    }
  }
}

TEST(CodecLoops, ACollectStopsWhereThereMayBeNoMoreRoomAndGoesOnFromThere) {
  const Floats in = OrdinaryFloats(1000, 3);
  for (const CodecLoops* loops : EverySet()) {
    std::vector<int32_t> indices(100);
    Floats values(100);
    std::vector<int32_t> all;
    for (size_t at = 0; at < in.size();) {
      Candidates candidates{indices.data(), values.data(), 0, 100};
      const size_t stopped = loops->collect(in.data(), at, in.size(), -1, &candidates);
      ASSERT_GT(stopped, at) << loops->name;
      ASSERT_EQ(candidates.count, stopped - at) << loops->name;
      all.insert(all.end(), indices.begin(), indices.begin() + candidates.count);
      at = stopped;
    }
    ASSERT_EQ(all.size(), in.size());
    for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<int32_t>(i));
  }
}

// The rule of sum_order.h, written down once more.
TEST(CodecLoops, MagnitudesAreAddedUpInTheOneOrder) {
  for (const size_t count : {0, 5, 33, 4095, 4096, 4097, 8192, 50007}) {
    const Floats in = OrdinaryFloats(count, count);
    double totals[32] = {};
    for (size_t begin = 0; begin < count; begin += 4096) {
      double lanes[32] = {};
      for (size_t i = begin; i < std::min(count, begin + 4096); ++i)
        lanes[i % 32] += std::fabs(double{in[i]});
      for (int lane = 0; lane < 32; ++lane) totals[lane] += lanes[lane];
    }
    for (int width = 16; width > 0; width /= 2) {
      for (int lane = 0; lane < width; ++lane) totals[lane] += totals[lane + width];
    }
    std::vector<uint8_t> signs((count + 7) / 8);
    EXPECT_EQ(Avx2Loops().pack_signs(in.data(), count, signs.data()), totals[0]) << count;
  }
}

}  // namespace
}  // namespace ringmaster
