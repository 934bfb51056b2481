// What the sparse codecs do beyond what every codec of the registry promises
// (tests/contract/codecs).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/codec/codec.h"
#include "common/codec/error_feedback.h"
#include "gtest/gtest.h"
#include "tests/common/codec/encodings.h"

namespace ringmaster {
namespace {

int64_t IndexBytes(const Codec& codec, size_t count, const Bytes& bytes) {
  return codec.IndexBytes({}, {static_cast<int64_t>(count), static_cast<int64_t>(bytes.size())});
}

TEST(Threshold, SendsPairsWhileTheyAreFewerBytesAndAllFloatsBeyond) {
  CodecSpec spec = SpecOf("threshold");
  spec.set_threshold(1);
  const auto codec = Create(spec);
  EXPECT_FALSE(codec->traits().fixed_size);
  const Floats in = {0.5f, -1.0f, 0.99f, 3.0f, 0.0f, -0.0f, 0.1f, -0.2f};
  const Bytes pairs = Encode(*codec, in);
  EXPECT_EQ(pairs.size(), 4 + 2 * 8u);
  EXPECT_EQ(IndexBytes(*codec, 8, pairs), 2 * 4);
  EXPECT_EQ(Decode(*codec, pairs, 8), (Floats{0, -1, 0, 3, 0, 0, 0, 0}));
  // At 4 of 8, 4 + 8 * 4 bytes would be those of all floats.
  const Bytes three = Encode(*codec, {1, 1, 1, 0, 0, 0, 0, 0});
  EXPECT_EQ(three.size(), 4 + 3 * 8u);
  const Bytes four = Encode(*codec, {1, 1, 1, 0.5f, 0, 0, 0, -2});
  EXPECT_EQ(four.size(), 4 + 8 * 4u);
  EXPECT_EQ(IndexBytes(*codec, 8, four), 0);
  EXPECT_EQ(Decode(*codec, four, 8), (Floats{1, 1, 1, 0, 0, 0, 0, -2}));
  const Bytes nothing = Encode(*codec, Floats(8, 0.5f));
  EXPECT_EQ(nothing.size(), 4u);
  EXPECT_EQ(codec->MaxEncodedBytes(8), 4 + 8 * 4);
}

TEST(Threshold, RefusesWhatItDoesNotWrite) {
  CodecSpec spec = SpecOf("threshold");
  spec.set_threshold(1);
  const auto codec = Create(spec);
  const Bytes good = Encode(*codec, {0, 2, 0, 0, -3, 0, 0, 0});
  Bytes below = good, again = good, more = good;
  const float small = 0.5f;
  std::memcpy(&below[8], &small, 4);
  ExpectRefused(*codec, below, 8, "expected a magnitude of at least 1");
  again[12] = std::byte{1};
  ExpectRefused(*codec, again, 8, "expected one above 1");
  more[0] = std::byte{3};
  ExpectRefused(*codec, more, 8, "bytes that begin with 3");
  // All floats, of which one is not sent after all.
  Bytes floats = Encode(*codec, {1, 1, 1, 1, 0, 0, 0, 0});
  std::memset(&floats[4], 0, 4);
  ExpectRefused(*codec, floats, 8, "3 values, expected 4");
  ExpectRefused(*codec, {}, 8, "0 bytes");
}

// The source's definition, written out: what is left of an element stays until it reaches t.
TEST(Twobit, SendsTheThresholdAndKeepsTheRestAsMxnetDoes) {
  CodecSpec spec = SpecOf("twobit");
  spec.set_threshold(0.5);
  const auto codec = Create(spec);
  const Floats in = {0.3f, -0.5f, 2.0f, -0.49f, 0.0f};
  const Bytes bytes = Encode(*codec, in);
  EXPECT_EQ(bytes, (Bytes{std::byte{0b00011000}, std::byte{0}}));
  EXPECT_EQ(Decode(*codec, bytes, 5), (Floats{0, -0.5f, 0.5f, 0, 0}));
  ErrorFeedback feedback(*codec, 5);
  Floats sum(5), residual(5);
  for (int step = 0; step < 40; ++step) {
    Floats gradient(5);
    for (size_t i = 0; i < 5; ++i) gradient[i] = in[i] / 8;
    Bytes out(2);
    feedback.Encode({}, 0, gradient, absl::MakeSpan(out));
    const Floats sent = Decode(*codec, out, 5);
    for (size_t i = 0; i < 5; ++i) {
      residual[i] += gradient[i];
      const float expected = residual[i] >= 0.5f ? 0.5f : residual[i] <= -0.5f ? -0.5f : 0.0f;
      residual[i] -= expected;
      ASSERT_EQ(sent[i], expected) << step;
      ASSERT_EQ(feedback.residual()[i], residual[i]) << step;
      sum[i] += sent[i];
    }
  }
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(sum[i] + residual[i], 5 * in[i], 1e-5);
}

TEST(Twobit, RefusesTheFourthValueAndBitsBeyondTheLast) {
  const auto codec = Create(SpecOf("twobit"));
  ExpectRefused(*codec, {std::byte{0b00000011}}, 4, "is not finite");
  ExpectRefused(*codec, {std::byte{0b01000000}}, 3, "beyond the 3 floats");
  ExpectRefused(*codec, {std::byte{0}, std::byte{0}}, 3, "2 bytes, expected 1");
}

TEST(Randomk, AllSendersDrawTheSameElementsAndOthersInEveryStepAndSlice) {
  CodecSpec spec = SpecOf("randomk");
  spec.set_error_feedback(true);
  const auto codec = Create(spec);
  const auto sent = [&](const CodecStream& stream) {
    std::vector<size_t> places;
    const Floats out = Sent(*codec, Floats(3000, 1.0f), stream);
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i] != 0) places.push_back(i);
    }
    return places;
  };
  const auto of = sent(BucketStream(7, {5, 20}, 1));
  EXPECT_EQ(of.size(), 30u);
  EXPECT_EQ(of, sent(BucketStream(7, {5, 21}, 1)));  // another lot: another sender
  EXPECT_NE(of, sent(BucketStream(7, {6, 20}, 1)));
  EXPECT_NE(of, sent(BucketStream(7, {5, 20}, 2)));
  EXPECT_NE(of, sent(BucketStream(8, {5, 20}, 1)));
}

// So the sum over the ranks may be made on the wire.
TEST(Randomk, TheSumOfEncodingsDecodesToTheSum) {
  const auto codec = Create(SpecOf("randomk"));
  EXPECT_TRUE(codec->traits().summable_as == ElementType::kFloat32);
  const CodecStream stream = BucketStream(1, {2, 3}, 4);
  const Floats a = RandomFloats(500, 1), b = RandomFloats(500, 2);
  Bytes sum = Encode(*codec, a, stream);
  const Bytes other = Encode(*codec, b, stream);
  for (size_t at = 0; at < sum.size(); at += 4) {
    float x, y;
    std::memcpy(&x, &sum[at], 4);
    std::memcpy(&y, &other[at], 4);
    x += y;
    std::memcpy(&sum[at], &x, 4);
  }
  Floats expected = Sent(*codec, a, stream);
  ASSERT_TRUE(codec->DecodeAdd(stream, other, absl::MakeSpan(expected)).ok());
  EXPECT_EQ(Decode(*codec, sum, 500, stream), expected);
}

// FACTS, "Formulae": unbiased when scaled by d/k, with a variance of (d/k - 1) |x|^2.
TEST(Randomk, HasTheVarianceOfTheFormula) {
  constexpr size_t kCount = 2000;
  for (const double density : {0.01, 0.1, 0.5}) {
    CodecSpec spec = SpecOf("randomk");
    spec.set_density(density);
    const auto codec = Create(spec);
    EXPECT_TRUE(codec->traits().unbiased);
    const Floats in = RandomFloats(kCount, 3);
    double variance = 0;
    constexpr int kDraws = 3000;
    for (int step = 0; step < kDraws; ++step) {
      Floats out = Sent(*codec, in, BucketStream(1, {step, 0}, 0));
      for (size_t i = 0; i < kCount; ++i) out[i] -= in[i];
      variance += SquaredNorm(out) / SquaredNorm(in) / kDraws;
    }
    // A draw's energy deviates by at most 0.4 of itself: 5 standard errors are 3.7 %.
    EXPECT_NEAR(variance, 1 / density - 1, 0.037 * (1 / density - 1)) << density;
  }
}

TEST(Topk, WithChunksKeepsTheLargestOfEach) {
  CodecSpec spec = SpecOf("topk");
  spec.set_density(0.25);
  spec.set_chunk(4);
  const auto codec = Create(spec);
  EXPECT_FALSE(codec->traits().device_kind.has_value());
  // Two chunks of 4 with one each, and a rest of 3 with one.
  const Floats in = {9, 8, 7, 6, 1, 1, -2, 1, 0.1f, 0.3f, 0.2f};
  const Bytes bytes = Encode(*codec, in);
  EXPECT_EQ(bytes.size(), 3 * 8u);
  EXPECT_EQ(Decode(*codec, bytes, in.size()), (Floats{9, 0, 0, 0, 0, 0, -2, 0, 0, 0.3f, 0}));
  Bytes moved = bytes;
  moved[8] = std::byte{3};  // the second pair is of the first chunk
  ExpectRefused(*codec, moved, in.size(), "expected the last of elements 0 to 3");
}

TEST(Topk, WithRiceIndicesTakesAboutFortyBitsAPairAndDecodesToTheSame) {
  CodecSpec spec = SpecOf("topk");
  const auto plain = Create(spec);
  spec.set_rice_indices(true);
  const auto rice = Create(spec);
  EXPECT_FALSE(rice->traits().fixed_size);
  const Floats in = RandomFloats(200'000, 4);
  const Bytes bytes = Encode(*rice, in);
  EXPECT_EQ(Decode(*rice, bytes, in.size()), Sent(*plain, in));
  EXPECT_NEAR(8.0 * static_cast<double>(bytes.size()) / 2000, 40.1, 0.2);
  EXPECT_EQ(IndexBytes(*rice, in.size(), bytes), static_cast<int64_t>(bytes.size()) - 4 * 2000);
  EXPECT_LE(static_cast<int64_t>(bytes.size()), rice->MaxEncodedBytes(200'000));
}

TEST(Topk, WithTwoBitValuesSendsSignsAndTheMeansOfTwoGroups) {
  CodecSpec spec = SpecOf("topk");
  spec.set_density(0.5);
  spec.set_two_bit_values(true);
  const auto codec = Create(spec);
  // Kept: 4, -2, -1, 10, of mean 4.25: 10 is high, the others' mean is 7/3.
  const Floats in = {4, -2, 0.5f, -1, 10, 0, 0.25f, 0};
  const float low = static_cast<float>(7.0 / 3);
  const Bytes bytes = Encode(*codec, in);
  EXPECT_EQ(bytes.size(), 8 + 1 + 4 * 4u);
  EXPECT_EQ(IndexBytes(*codec, 8, bytes), 4 * 4);
  EXPECT_EQ(Decode(*codec, bytes, 8), (Floats{low, -low, 0, -low, 10, 0, 0, 0}));
  EXPECT_EQ(Sent(*codec, Floats(2, -3.0f)), (Floats{-3.0f, 0}));
  Bytes swapped = bytes;
  std::swap_ranges(swapped.begin(), swapped.begin() + 4, swapped.begin() + 4);
  ExpectRefused(*codec, swapped, 8, "the lower one first");
}

TEST(Topk, WithAllOptionsARefusalNamesTheCodec) {
  CodecSpec spec = SpecOf("topk");
  spec.set_density(0.1);
  spec.set_rice_indices(true);
  spec.set_two_bit_values(true);
  spec.set_chunk(64);
  const auto codec = Create(spec);
  const Bytes bytes = Encode(*codec, RandomFloats(1000, 1));
  for (size_t length = 0; length < bytes.size(); ++length) {
    ExpectRefused(*codec, Bytes(bytes.begin(), bytes.begin() + static_cast<int64_t>(length)), 1000,
                  "codec \"topk\"");
  }
}

// FACTS, "Theory": the energy of error feedback's memory over the gradient's, with a fresh Gaussian
// gradient in every step, on the mean of many steps.
double SteadyMemory(CodecSpec spec, double decay, int burn_in) {
  constexpr size_t kCount = 20'000;
  spec.set_error_feedback(true);
  const auto codec = Create(spec);
  ErrorFeedback memory(*codec, kCount, decay);
  const Floats pool = RandomFloats(4 * kCount, 5);
  Random random(6);
  Bytes bytes(codec->MaxEncodedBytes(kCount));
  double energy = 0;
  for (int step = 0; step < 2 * burn_in; ++step) {
    const auto gradient =
        absl::MakeConstSpan(pool).subspan(random.Below(pool.size() - kCount), kCount);
    memory.Encode(BucketStream(1, {step, 0}, 0), 0, gradient, absl::MakeSpan(bytes));
    if (step < burn_in || step % 8 > 0) continue;
    double kept = 0;
    for (const float value : memory.residual()) kept += static_cast<double>(value) * value;
    energy += kept / kCount * 8 / burn_in;
  }
  return energy;
}

TEST(ErrorFeedback, KeepsOfRandomkWhatTheTheorySays) {
  EXPECT_NEAR(SteadyMemory(SpecOf("randomk"), 1, 1000), 98.8, 0.02 * 98.8);
}

// With a decay b, what is kept is e = (1 - p) (b^2 e + 1): random-k tells it in closed form.
TEST(ErrorFeedback, ThatDecaysKeepsLess) {
  const double p = 0.01;
  for (const double decay : {0.9, 0.5}) {
    const double expected = (1 - p) / (1 - (1 - p) * decay * decay);
    EXPECT_NEAR(SteadyMemory(SpecOf("randomk"), decay, 200), expected, 0.02 * expected) << decay;
  }
}

}  // namespace
}  // namespace ringmaster
