#include "common/vecmath/vecmath.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Halves = std::vector<uint16_t>;

Floats RandomFloats(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
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

// One operation of floats, rounded once: sums, products, quotients and roots of floats in double
// are rounded to 53 bits, more than twice 24, so rounding again to float gives what one rounding
// gives.
float Rounded(double value) { return static_cast<float>(value); }

TEST(Vecmath, EveryOperationRoundsAfterEachStepInBodyAndTailAlike) {
  for (const size_t count : {0, 1, 7, 8, 9, 31, 1003}) {
    const Floats in = RandomFloats(count, 1);
    const Floats before = RandomFloats(count, 2);
    Floats both = before, other = in;
    AddToBoth(absl::MakeSpan(both), absl::MakeSpan(other));
    EXPECT_EQ(both, other);
    Floats added = before, scaled = before, stepped = before, folded = before;
    Add(in, absl::MakeSpan(added));
    Scale(0.3f, absl::MakeSpan(scaled));
    SubtractScaled(0.3f, in, absl::MakeSpan(stepped));
    ScaleThenAdd(0.3f, in, absl::MakeSpan(folded));
    for (size_t i = 0; i < count; ++i) {
      // Products of two floats are exact in double, so these round where a float product rounds.
      const float step = static_cast<float>(static_cast<double>(0.3f) * in[i]);
      const float kept = static_cast<float>(static_cast<double>(0.3f) * before[i]);
      ASSERT_EQ(added[i], before[i] + in[i]);
      ASSERT_EQ(both[i], before[i] + in[i]);
      ASSERT_EQ(scaled[i], kept);
      ASSERT_EQ(stepped[i], before[i] - step) << i << " of " << count;
      ASSERT_EQ(folded[i], kept + in[i]) << i << " of " << count;
    }
  }
}

TEST(Vecmath, DifferencesAndCorrectionsRoundAfterEachStepInBodyAndTailAlike) {
  const AdaptiveDelayFactors factors{2.0f, 0.95f, 0.05f, 1e-7f};
  for (const size_t count : {0, 1, 7, 8, 9, 31, 1003}) {
    const Floats g = RandomFloats(count, 1), read = RandomFloats(count, 2),
                 weights = RandomFloats(count, 3);
    Floats difference(count), corrected(count), adapted(count), mean(count, 0.5f);
    ScaledDifference(0.3f, weights, read, absl::MakeSpan(difference));
    CompensateDelay(0.3f, g, read, weights, absl::MakeSpan(corrected));
    CompensateDelayAdaptively(factors, g, read, weights, absl::MakeSpan(mean),
                              absl::MakeSpan(adapted));
    for (size_t i = 0; i < count; ++i) {
      const float moved = weights[i] - read[i];
      ASSERT_EQ(difference[i], Rounded(static_cast<double>(0.3f) * moved));
      const float scaled = Rounded(static_cast<double>(0.3f) * g[i]);
      const float curvature = Rounded(static_cast<double>(scaled) * g[i]);
      ASSERT_EQ(corrected[i], g[i] + Rounded(static_cast<double>(curvature) * moved)) << i;
      const float share = Rounded(static_cast<double>(0.05f) * g[i]);
      const float square = Rounded(static_cast<double>(share) * g[i]);
      ASSERT_EQ(mean[i], Rounded(static_cast<double>(0.95f) * 0.5f) + square) << i;
      const float lambda = Rounded(2.0 / Rounded(std::sqrt(mean[i] + 1e-7f)));
      const float product =
          Rounded(static_cast<double>(Rounded(static_cast<double>(g[i]) * g[i])) * moved);
      ASSERT_EQ(adapted[i], g[i] + Rounded(static_cast<double>(lambda) * product)) << i;
    }
  }
}

TEST(Vecmath, WeightedSumsRoundAfterEachStepInBodyAndTailAlike) {
  const double a = 0.3f, b = 0.7f;
  for (const size_t count : {0, 1, 7, 8, 9, 31, 1003}) {
    const Floats x = RandomFloats(count, 1), y = RandomFloats(count, 2);
    Floats scaled(count), sum(count), blended = y;
    ScaleInto(0.3f, x, absl::MakeSpan(scaled));
    WeightedSum(0.3f, x, 0.7f, y, absl::MakeSpan(sum));
    Blend(0.7f, 0.3f, x, absl::MakeSpan(blended));
    for (size_t i = 0; i < count; ++i) {
      const float ax = static_cast<float>(a * x[i]);
      const float by = static_cast<float>(b * y[i]);
      ASSERT_EQ(scaled[i], ax);
      ASSERT_EQ(sum[i], ax + by) << i << " of " << count;
      ASSERT_EQ(blended[i], by + ax) << i << " of " << count;
    }
  }
}

TEST(Vecmath, AdamRoundsAfterEachStepInBodyAndTailAlike) {
  const AdamFactors f = {0.9f, 0.1f, 0.999f, 0.001f, 3.25f, 1e-3f, 0.07f};
  for (const size_t count : {0, 1, 7, 8, 9, 31, 1003}) {
    const Floats g = RandomFloats(count, 1), w = RandomFloats(count, 2), m = RandomFloats(count, 3);
    Floats v = RandomFloats(count, 4);
    for (float& value : v) value *= value;
    Floats first = m, second = v, weights = w;
    AdamStep(f, g, absl::MakeSpan(first), absl::MakeSpan(second), absl::MakeSpan(weights));
    for (size_t i = 0; i < count; ++i) {
      const auto times = [](double a, double b) { return Rounded(a * b); };
      const float mean = Rounded(double{times(f.first_keep, m[i])} + times(f.first_share, g[i]));
      const float square =
          Rounded(double{times(f.second_keep, v[i])} + times(times(f.second_share, g[i]), g[i]));
      const float root = Rounded(std::sqrt(double{square}));
      const float divisor = Rounded(double{times(root, f.root_factor)} + f.epsilon);
      ASSERT_EQ(first[i], mean) << i << " of " << count;
      ASSERT_EQ(second[i], square) << i << " of " << count;
      ASSERT_EQ(weights[i], Rounded(double{w[i]} - times(f.step, Rounded(double{mean} / divisor))))
          << i;
    }
  }
}

TEST(Vecmath, SumOfSquaresIsThatOfDoublesInOneOrder) {
  for (const size_t count : {0, 1, 8, 13, 1003}) {
    const Floats values = RandomFloats(count, 5);
    double lanes[8] = {};
    for (size_t i = 0; i < count; ++i) lanes[i % 8] += double{values[i]} * values[i];
    const double expected = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                            ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    EXPECT_EQ(SumOfSquares(values), expected) << count;
  }
  EXPECT_EQ(SumOfSquares(Floats{1e30f, 1e30f}), 2.0 * double{1e30f} * 1e30f)
      << "floats would overflow";
}

TEST(Vecmath, EveryFiniteHalfSurvivesTheWayThroughFloat) {
  Halves all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  Floats floats(all.size());
  Halves back(all.size());
  FromFloat16(all, absl::MakeSpan(floats));
  ToFloat16(floats, absl::MakeSpan(back));
  for (size_t i = 0; i < all.size(); ++i) {
    if (!IsFiniteHalf(all[i])) {
      ASSERT_FALSE(std::isfinite(floats[i]));
      continue;
    }
    ASSERT_EQ(floats[i], HalfValue(all[i]));
    ASSERT_EQ(back[i], all[i]);
  }
}

TEST(Vecmath, FloatsRoundToTheNearestHalfTiesToEven) {
  Random random(3);
  Floats in;
  for (int i = 0; i < 20000; ++i) {
    in.push_back(random.Normal() * std::ldexp(1.0f, static_cast<int>(random.Below(34)) - 22));
  }
  for (int i = 0; i < 1000; ++i) {  // exactly between two halves
    const uint16_t low = static_cast<uint16_t>(random.Below(0x7BFF));
    in.push_back(static_cast<float>((HalfValue(low) + HalfValue(low + 1)) / 2));
  }
  Halves out(in.size());
  ToFloat16(in, absl::MakeSpan(out));
  for (size_t i = 0; i < in.size(); ++i) {
    if (!IsFiniteHalf(out[i])) {
      ASSERT_GE(std::fabs(in[i]), 65520.0f);
      continue;
    }
    const double error = std::fabs(HalfValue(out[i]) - in[i]);
    for (const int step : {-1, 1}) {
      const uint16_t other = static_cast<uint16_t>(out[i] + step);
      if (((other ^ out[i]) & 0x8000) != 0 || !IsFiniteHalf(other)) continue;
      const double other_error = std::fabs(HalfValue(other) - in[i]);
      ASSERT_TRUE(error < other_error || (error == other_error && (out[i] & 1) == 0)) << in[i];
    }
  }
}

float BfloatValue(uint16_t bfloat) {
  const uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Against the two bfloat16 beside the sum; all bits that there are, infinities and NaNs among them.
TEST(Vecmath, BfloatsAreAddedAsFloatsAndRoundedToTheNearestTiesToEven) {
  Random random(8);
  Halves a(60'001), b(a.size());
  for (uint16_t& bits : a) bits = static_cast<uint16_t>(random.Below(1 << 16));
  for (size_t i = 0; i < b.size(); ++i)  // mostly of a magnitude that matters to the other
    b[i] = static_cast<uint16_t>(a[i] ^ random.Below(random.Below(9) == 0 ? 1 << 16 : 1 << 11));
  Halves ab = a, ba = b, one = a, other = b;
  AddBfloat16(b, absl::MakeSpan(ab));
  AddBfloat16(a, absl::MakeSpan(ba));
  AddBfloat16ToBoth(absl::MakeSpan(one), absl::MakeSpan(other));
  EXPECT_TRUE(ab == ba && ab == one && ab == other);
  for (size_t i = 0; i < a.size(); ++i) {
    const float sum = BfloatValue(a[i]) + BfloatValue(b[i]);
    const float rounded = BfloatValue(ab[i]);
    if (!std::isfinite(sum)) {
      ASSERT_TRUE(std::isnan(sum) ? std::isnan(rounded) : rounded == sum) << a[i] << " " << b[i];
      continue;
    }
    if (!std::isfinite(rounded)) {
      ASSERT_GE(std::fabs(sum), 0x1.FFp127f);
      continue;
    }
    const double error = std::fabs(static_cast<double>(rounded) - sum);
    for (const int step : {-1, 1}) {
      const uint16_t beside = static_cast<uint16_t>(ab[i] + step);
      if (((beside ^ ab[i]) & 0x8000) != 0 || !std::isfinite(BfloatValue(beside))) continue;
      const double other_error = std::fabs(static_cast<double>(BfloatValue(beside)) - sum);
      ASSERT_TRUE(error < other_error || (error == other_error && (ab[i] & 1) == 0)) << sum;
    }
  }
}

TEST(Vecmath, SignsReplaceValuesAndZerosStay) {
  Floats values = {2.5f, -1e-30f, 0.0f, -0.0f, -7, 1e30f, NAN, 1};
  ReplaceBySigns(absl::MakeSpan(values));
  EXPECT_EQ(values, (Floats{1, -1, 0, 0, -1, 1, 0, 1}));
}

TEST(Vecmath, HalvesAreAddedAsFloatsAndRoundedOnce) {
  for (const size_t count : {1, 8, 13, 256}) {
    Halves a(count), b(count);
    ToFloat16(RandomFloats(count, 4), absl::MakeSpan(a));
    ToFloat16(RandomFloats(count, 5), absl::MakeSpan(b));
    Halves ab = a, ba = b;
    AddFloat16(b, absl::MakeSpan(ab));
    AddFloat16(a, absl::MakeSpan(ba));
    EXPECT_EQ(ab, ba);
    Floats sums(count), others(count);
    FromFloat16(a, absl::MakeSpan(sums));
    FromFloat16(b, absl::MakeSpan(others));
    Add(others, absl::MakeSpan(sums));
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(sums[i], static_cast<float>(HalfValue(a[i]) + HalfValue(b[i])));
    Halves rounded(count);
    ToFloat16(sums, absl::MakeSpan(rounded));
    EXPECT_EQ(ab, rounded);
  }
}

TEST(Vecmath, FirstNotFiniteFindsTheFirstWhereverItIs) {
  for (const size_t count : {1, 8, 255, 256, 257, 1000}) {
    const Floats values(count, std::numeric_limits<float>::max());
    EXPECT_EQ(FirstNotFinite(values), count);
    for (size_t i = 0; i < count; i += 1 + count / 7) {
      for (const float culprit : {NAN, INFINITY, -INFINITY}) {
        Floats bad = values;
        bad[count - 1] = -INFINITY;
        bad[i] = culprit;
        EXPECT_EQ(FirstNotFinite(bad), i);
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
