// The codecs that send every element in few bits: their wire forms by hand, and the variance of
// those that draw.
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/codec/codec.h"
#include "gtest/gtest.h"
#include "tests/common/codec/encodings.h"

namespace ringmaster {
namespace {

float FloatAt(const Bytes& encoded, size_t at) {
  float value;
  std::memcpy(&value, encoded.data() + at, sizeof(value));
  return value;
}

Bytes BytesOf(const std::vector<int>& values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(DenseCodecs, HaveTheWireSizesOfTheFormulae) {
  for (const int64_t count : {1, 8, 9, 512, 1000, 431080}) {
    const int64_t of_256 = (count + 255) / 256, of_512 = (count + 511) / 512;
    EXPECT_EQ(Create("bf16")->MaxEncodedBytes(count), 2 * count);
    EXPECT_EQ(Create("int8")->MaxEncodedBytes(count), count + 4 * of_256);
    EXPECT_EQ(Create("int4")->MaxEncodedBytes(count), (count + 1) / 2 + 4 * of_256);
    EXPECT_EQ(Create("qsgd")->MaxEncodedBytes(count), (4 * count + 7) / 8 + 4 * of_512);
    EXPECT_EQ(Create("terngrad")->MaxEncodedBytes(count), (2 * count + 7) / 8 + 4 * of_512);
    EXPECT_EQ(Create("natural")->MaxEncodedBytes(count), count + (count + 7) / 8);
    EXPECT_EQ(Create("signsgd")->MaxEncodedBytes(count), count / 8 + 1);
    EXPECT_EQ(Create("seide")->MaxEncodedBytes(count), 8 + (count + 7) / 8);
    CodecSpec qsgd = SpecOf("qsgd");
    qsgd.set_levels(15);  // 1 + ceil(lg 16) = 5 bits
    EXPECT_EQ(Create(qsgd)->MaxEncodedBytes(count), (5 * count + 7) / 8 + 4 * of_512);
    CodecSpec scaled = SpecOf("fp16");
    scaled.set_auto_scale(true);
    EXPECT_EQ(Create(scaled)->MaxEncodedBytes(count), 2 * count + 4);
  }
}

TEST(Int4, SendsAUnitAndNibblesWithTheFirstElementLowest) {
  const auto codec = Create("int4");
  const Bytes encoded = Encode(*codec, {7, -7, 2.5f, -1, 3.5f});
  EXPECT_EQ(FloatAt(encoded, 0), 1.0f);
  // 7, -7, 2 (a tie goes to even), -1, 4
  EXPECT_EQ(Bytes(encoded.begin() + 4, encoded.end()), BytesOf({0x97, 0xF2, 0x04}));
  EXPECT_EQ(Decode(*codec, encoded, 5), (Floats{7, -7, 2, -1, 4}));
  Bytes bent = encoded;
  bent[4] = std::byte{0x98};
  ExpectRefused(*codec, bent, 5, "whole numbers of -8 to 4");
  bent = encoded;
  bent[6] = std::byte{0x14};
  ExpectRefused(*codec, bent, 5, "bits beyond the 5 floats");
  for (const float unit : {-1.0f, -0.0f, 1e-40f, INFINITY, NAN, 3e38f}) {
    bent = encoded;
    std::memcpy(bent.data(), &unit, sizeof(unit));
    ExpectRefused(*codec, bent, 5, "the unit of block 0");
  }
  bent = encoded;
  std::memset(bent.data(), 0, 4);
  ExpectRefused(*codec, bent, 5, "unit is 0 has other whole numbers");
}

TEST(Int8, HasAScaleForEveryBlock) {
  CodecSpec spec = SpecOf("int8");
  spec.set_block(3);
  const auto codec = Create(spec);
  const Bytes encoded = Encode(*codec, {127, 1, -127, 0.5f, -0.25f, 0, 0});
  EXPECT_EQ(FloatAt(encoded, 0), 1.0f);
  EXPECT_EQ(FloatAt(encoded, 4), 0.5f / 127);
  EXPECT_EQ(FloatAt(encoded, 8), 0.0f);
  EXPECT_EQ(Bytes(encoded.begin() + 12, encoded.end()), BytesOf({127, 1, 129, 127, 192, 0, 0}));
}

TEST(Bf16, RoundsToEvenAndSaturates) {
  const auto codec = Create("bf16");
  // 1 + 2^-8 and 1 + 3 * 2^-8 lie halfway.
  const Floats in = {1 + 0x1p-8f, 1 + 0x3p-8f, -1.0f, 3.4e38f, 1e-42f};
  EXPECT_EQ(Decode(*codec, Encode(*codec, in), 5),
            (Floats{1.0f, 1 + 0x1p-6f, -1.0f, 0x1.FEp127f, 0.0f}));
  ExpectRefused(*codec, BytesOf({0, 0, 0x80, 0x7F}), 2, "value 1 of 2 is not finite");
}

TEST(Natural, SendsExponentsAndSigns) {
  const auto codec = Create("natural");
  const Bytes encoded = Encode(*codec, {1, -2, 0, 0.5f, -1, 4, 8, 16, -32});
  EXPECT_EQ(encoded, BytesOf({127, 128, 0, 126, 127, 129, 130, 131, 132, 0x12, 0x01}));
  ExpectRefused(*codec, BytesOf({127, 255, 0}), 2, "value 1 of 2 is not finite");
  ExpectRefused(*codec, BytesOf({127, 127, 4}), 2, "signs beyond the 2 floats");
}

TEST(Signsgd, SendsSignsAndSaysWhatIsNotFinite) {
  const auto codec = Create("signsgd");
  const Bytes encoded = Encode(*codec, {1, -2, 1e-30f, -4, 0, 0, 0, -1e9f});
  EXPECT_EQ(encoded, BytesOf({0x8A, 0}));
  EXPECT_EQ(Decode(*codec, encoded, 8), (Floats{1, -1, 1, -1, 1, 1, 1, -1}));
  ExpectRefused(*codec, Encode(*codec, {1, NAN, 1}), 3, "one of 3 values is not finite");
  ExpectRefused(*codec, BytesOf({0x10}), 3, "bits beyond the 3 signs");
}

TEST(Seide, SendsTheMeanOfEachSign) {
  const auto codec = Create("seide");
  const Bytes encoded = Encode(*codec, {1, -2, 3, -4, 0, 0, 0, 0, -9});
  EXPECT_EQ(FloatAt(encoded, 0), static_cast<float>(4.0 / 6));
  EXPECT_EQ(FloatAt(encoded, 4), 5.0f);
  EXPECT_EQ(Bytes(encoded.begin() + 8, encoded.end()), BytesOf({0x0A, 0x01}));
  // Two means leave no more than one: 1-bit SGD against the mean magnitude, on values whose mean is
  // not 0.
  Floats in = RandomFloats(1000, 4);
  for (float& value : in) value += 0.5f;
  const auto left = [&](const std::string& name) {
    const auto other = Create(name);
    Floats out = Decode(*other, Encode(*other, in), in.size());
    for (size_t i = 0; i < in.size(); ++i) out[i] -= in[i];
    return SquaredNorm(out);
  };
  EXPECT_LT(left("seide"), 0.97 * left("onebit"));
}

TEST(ScaledFp16, KeepsItsPrecisionAtEveryMagnitude) {
  CodecSpec spec = SpecOf("fp16");
  spec.set_auto_scale(true);
  const auto codec = Create(spec);
  const Floats base = RandomFloats(300, 2);
  for (const int exponent : {-120, -60, -30, 0, 30, 60, 120}) {
    Floats in = base;
    for (float& value : in) value = std::ldexp(value, exponent);
    const Floats out = Decode(*codec, Encode(*codec, in), in.size());
    for (size_t i = 0; i < in.size(); ++i)
      ASSERT_LE(std::fabs(in[i] - out[i]), 0x1p-11 * std::fabs(in[i])) << exponent;
  }
  const Bytes encoded = Encode(*codec, {3.0f});
  EXPECT_EQ(FloatAt(encoded, 0), 0x1p13f);
  for (const float scale : {3.0f, -1.0f, 0.0f, NAN, 0x1p127f, 0x1p-114f}) {
    Bytes bent = encoded;
    std::memcpy(bent.data(), &scale, sizeof(scale));
    ExpectRefused(*codec, bent, 1, "scale");
  }
}

// The mean of |C(x) - x|^2 over many draws, relative to |x|^2, for a Gaussian x of 512 elements.
struct Variance {
  double measured = 0;
  double bound = 0;  // the oracle's
};
Variance VarianceOf(const CodecSpec& spec, int draws) {
  const auto codec = Create(spec);
  Variance variance;
  for (int draw = 0; draw < draws; ++draw) {
    const Floats in = RandomFloats(512, 1000 + static_cast<uint64_t>(draw));
    Floats out = Sent(*codec, in, {{static_cast<uint64_t>(draw)}});
    for (size_t i = 0; i < in.size(); ++i) out[i] -= in[i];
    variance.measured += SquaredNorm(out) / SquaredNorm(in) / draws;
    variance.bound +=
        FindCodec(spec.name())->oracle->variance_bound(spec, in) / SquaredNorm(in) / draws;
  }
  return variance;
}

// Computed beforehand, in double precision: docs/THEORY.md, "QSGD". 3 % is six standard errors of
// the noisiest.
TEST(Qsgd, HasTheVarianceThatTheTheorySays) {
  const struct {
    int levels;
    double by_norm, by_largest;
  } expected[] = {{1, 17.1, 1.59}, {4, 3.52, 0.111}, {15, 0.379, 0.0079}, {127, 0.0053, 0.00011}};
  for (const auto& row : expected) {
    SCOPED_TRACE(row.levels);
    CodecSpec spec = SpecOf("qsgd");
    spec.set_levels(row.levels);
    const Variance by_norm = VarianceOf(spec, 1500);
    EXPECT_NEAR(by_norm.measured, row.by_norm, 0.03 * row.by_norm);
    EXPECT_LT(by_norm.measured, by_norm.bound);
    spec.set_max_norm(true);
    const Variance by_largest = VarianceOf(spec, 1500);
    EXPECT_NEAR(by_largest.measured, row.by_largest, 0.03 * row.by_largest);
    EXPECT_LT(by_largest.measured, by_largest.bound * 1.001);
  }
}

TEST(Terngrad, HasExactlyTheVarianceOfTheFormula) {
  const Variance variance = VarianceOf(SpecOf("terngrad"), 1500);
  EXPECT_NEAR(variance.measured, variance.bound, 0.02 * variance.bound);
}

TEST(Natural, HasAtMostAnEighthOfTheEnergyAsVariance) {
  const Variance variance = VarianceOf(SpecOf("natural"), 500);
  EXPECT_LT(variance.measured, 1.0 / 8);
  // Computed beforehand: the mean of (m - 1)(2 - m) over m^2, where m is what powers of two leave
  // of a Gaussian.
  EXPECT_GT(variance.measured, 0.5 / 8);
}

// Two encodings of one slice differ in what they draw if step or slice differ, and only then.
TEST(CodecsThatDraw, FollowTheStreamAlone) {
  const Floats in = RandomFloats(1000, 3);
  for (const CodecInfo& info : Codecs()) {
    const auto codec = Create(info.name);
    const auto encoded = [&](int64_t step, int64_t slice) {
      CodecStream stream;
      stream.step = step;
      stream.lot = step;
      stream.slice = slice;
      Bytes out(codec->MaxEncodedBytes(static_cast<int64_t>(in.size())));
      out.resize(codec->Encode(stream, in, absl::MakeSpan(out)));
      return out;
    };
    EXPECT_EQ(encoded(1, 1), encoded(1, 1)) << info.name;
    EXPECT_EQ(encoded(1, 1) != encoded(2, 1), info.traits.is_random) << info.name;
    EXPECT_EQ(encoded(1, 1) != encoded(1, 2), info.traits.is_random) << info.name;
  }
}

}  // namespace
}  // namespace ringmaster
