#include "common/codec/loops/threshold_loops.h"

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

constexpr float kThreshold = 0.5f;
const int32_t kAbove = MagnitudeOf(kThreshold) - 1;

// Values on both sides of the threshold, at it, and now and then one that is not finite.
Floats FloatsOf(size_t count, uint64_t seed, bool is_strange) {
  constexpr float kStrange[] = {0.5f,  -0.5f, 0.49999997f, -0.0f,     0.0f,
                                1e30f, NAN,   INFINITY,    -INFINITY, -1e-42f};
  Random random(seed);
  Floats values(count);
  for (float& value : values) {
    value = random.Normal();
    if (random.Below(5) == 0) value = kStrange[random.Below(is_strange ? 10 : 5)];
  }
  return values;
}

template <class T>
void Append(const std::vector<T>& values, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// All that the loops make of `in`, one after the other.
std::string BytesOf(const ThresholdLoops& loops, const Floats& in, const Floats& residual) {
  const size_t n = in.size();
  std::string bytes;
  std::vector<uint8_t> codes((n + 3) / 4, 0xFF);
  std::vector<std::byte> floats(4 * n + 1);
  Floats left = residual, out(n, -0.0f);
  bytes += loops.encode_twobits_corrected(in.data(), left.data(), n, kThreshold, codes.data())
               ? "finite"
               : "not";
  Append(codes, &bytes);
  Append(left, &bytes);
  bytes += loops.encode_twobits(in.data(), n, kThreshold, codes.data()) ? "finite" : "not";
  Append(codes, &bytes);
  loops.decode_twobits(codes.data(), n, kThreshold, out.data());
  Append(out, &bytes);
  loops.add_twobits(codes.data(), n, kThreshold, left.data());
  Append(left, &bytes);
  const AboveCount of = loops.count_above(in.data(), n, kAbove);
  bytes += std::to_string(of.count) + " " + std::to_string(of.largest);
  loops.keep_above(in.data(), n, kAbove, floats.data() + 1);
  Append(floats, &bytes);
  bytes += std::to_string(loops.store_kept(floats.data() + 1, n, kAbove, out.data()));
  Append(out, &bytes);
  std::fill(out.begin(), out.end(), -0.0f);
  bytes += std::to_string(loops.add_kept(floats.data() + 1, n, kAbove, out.data()));
  Append(out, &bytes);
  loops.clear_above(n, kAbove, left.data());
  Append(left, &bytes);
  return bytes;
}

std::vector<const ThresholdLoops*> EverySet() {
  return {&Avx2ThresholdLoops(), &BestThresholdLoops()};
}

TEST(ThresholdLoops, OfAllInstructionSetsGiveTheSameBits) {
  const ThresholdLoops* const wide = Avx512ThresholdLoops();
  if (wide == nullptr) GTEST_SKIP() << "this machine has one instruction set";
  for (size_t count = 0; count < 200; ++count) {
    for (const bool is_strange : {false, true}) {
      const Floats in = FloatsOf(count, count, is_strange), left = FloatsOf(count, 7, is_strange);
      ASSERT_TRUE(BytesOf(*wide, in, left) == BytesOf(Avx2ThresholdLoops(), in, left)) << count;
    }
  }
}

// By the definitions, one element at a time.
TEST(ThresholdLoops, TwoBitsAreTheThresholdWithItsSignOrNothing) {
  for (const ThresholdLoops* loops : EverySet()) {
    for (const size_t count : {1, 7, 8, 19, 1001}) {
      const Floats in = FloatsOf(count, count, false), before = FloatsOf(count, 3, false);
      std::vector<uint8_t> codes((count + 3) / 4, 0xFF);
      Floats left = before, out(count), sum = before;
      EXPECT_TRUE(
          loops->encode_twobits_corrected(in.data(), left.data(), count, kThreshold, codes.data()));
      loops->decode_twobits(codes.data(), count, kThreshold, out.data());
      loops->add_twobits(codes.data(), count, kThreshold, sum.data());
      for (size_t i = 0; i < count; ++i) {
        const float value = before[i] + in[i];
        const float sent = value >= 0.5f ? 0.5f : value <= -0.5f ? -0.5f : 0.0f;
        ASSERT_EQ(out[i], sent) << value;
        ASSERT_EQ(left[i], value - sent) << value;
        ASSERT_EQ(sum[i], before[i] + sent) << value;
      }
      EXPECT_TRUE(count % 4 == 0 || codes.back() >> (2 * (count % 4)) == 0);
      Floats bent = in;
      bent[count / 2] = NAN;
      EXPECT_FALSE(loops->encode_twobits(bent.data(), count, kThreshold, codes.data()));
      EXPECT_EQ(codes[count / 8] >> (2 * (count / 2 % 4)) & 3, 3);
    }
  }
}

TEST(ThresholdLoops, KeepCountAndClearWhatIsAbove) {
  for (const ThresholdLoops* loops : EverySet()) {
    for (const size_t count : {1, 8, 31, 1001}) {
      const Floats in = FloatsOf(count, count, false);
      std::vector<std::byte> bytes(4 * count);
      loops->keep_above(in.data(), count, kAbove, bytes.data());
      Floats out(count, NAN), sum(count, 2.0f), rest = in;
      const int64_t stored = loops->store_kept(bytes.data(), count, kAbove, out.data());
      EXPECT_EQ(loops->add_kept(bytes.data(), count, kAbove, sum.data()), stored);
      loops->clear_above(count, kAbove, rest.data());
      int64_t kept = 0;
      float largest = 0;
      for (size_t i = 0; i < count; ++i) {
        const bool is_kept = std::fabs(in[i]) >= kThreshold;
        kept += is_kept ? 1 : 0;
        largest = std::max(largest, std::fabs(in[i]));
        ASSERT_EQ(out[i], is_kept ? in[i] : 0.0f);
        ASSERT_EQ(sum[i], 2.0f + out[i]);
        ASSERT_EQ(rest[i], is_kept ? 0.0f : in[i]);
      }
      EXPECT_EQ(stored, kept);
      const AboveCount of = loops->count_above(in.data(), count, kAbove);
      EXPECT_EQ(of.count, kept);
      EXPECT_EQ(of.largest, MagnitudeOf(largest));
      for (const float bad : {0.25f, -0.0f, NAN, -INFINITY}) {
        std::memcpy(&bytes[4 * (count - 1)], &bad, 4);
        EXPECT_EQ(loops->store_kept(bytes.data(), count, kAbove, out.data()), -1) << bad;
        EXPECT_EQ(loops->add_kept(bytes.data(), count, kAbove, out.data()), -1) << bad;
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
