#include "common/codec/codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/common/codec/encodings.h"

namespace ringmaster {
namespace {

// Density 0.1 unless told otherwise.
std::unique_ptr<Codec> Create(const std::string& name, double density = 0.1) {
  CodecSpec spec = SpecOf(name);
  spec.set_density(density);
  return Create(spec);
}

double ResidualEnergy(const Floats& in, const Floats& decoded) {
  double sum = 0;
  for (size_t i = 0; i < in.size(); ++i)
    sum += std::pow(static_cast<double>(in[i]) - decoded[i], 2);
  return sum;
}

struct Pair {
  int32_t index;
  float value;
};

Bytes Wire(const std::vector<Pair>& pairs) {
  Bytes bytes(8 * pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    std::memcpy(&bytes[8 * i], &pairs[i].index, 4);
    std::memcpy(&bytes[8 * i + 4], &pairs[i].value, 4);
  }
  return bytes;
}

TEST(Codec, WireSizesAreThoseOfTheFormulae) {
  for (const size_t count : {0, 1, 8, 9, 1000, 431080}) {
    const Floats in = RandomFloats(count, 1);
    EXPECT_EQ(Encode(*Create("none"), in).size(), 4 * count);
    EXPECT_EQ(Encode(*Create("fp16"), in).size(), 2 * count);
    EXPECT_EQ(Encode(*Create("onebit"), in).size(), 4 + (count + 7) / 8);
    const size_t kept = (count + 99) / 100;
    const auto topk = Create("topk", 0.01);
    EXPECT_EQ(Encode(*topk, in).size(), 8 * kept) << count;
    EXPECT_EQ(topk->IndexBytes({}, {static_cast<int64_t>(count), static_cast<int64_t>(8 * kept)}),
              static_cast<int64_t>(4 * kept));
  }
}

TEST(Fp16, ErrorIsWithinTheBoundAndBeyondTheRangeItSaturates) {
  const auto codec = Create("fp16");
  Random random(2);
  Floats in;
  for (int i = 0; i < 50000; ++i) {
    in.push_back(random.Normal() * std::ldexp(1.0f, static_cast<int>(random.Below(44)) - 26));
  }
  const Floats out = Decode(*codec, Encode(*codec, in), in.size());
  int saturated = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const double magnitude = std::fabs(in[i]);
    const double error = std::fabs(static_cast<double>(in[i]) - out[i]);
    if (magnitude > 65504) {
      ASSERT_EQ(out[i], std::copysign(65504.0f, in[i]));
      ++saturated;
    } else if (magnitude >= 0x1p-14) {
      ASSERT_LE(error, 0x1p-11 * magnitude) << in[i];
    } else {
      ASSERT_LE(error, 0x1p-25) << in[i];
    }
  }
  EXPECT_GT(saturated, 100);
}

TEST(Fp16, ASumThatLeftTheRangeIsRefused) {
  const Bytes infinite = {std::byte{0}, std::byte{0}, std::byte{0x00}, std::byte{0x7C}};
  ExpectRefused(*Create("fp16"), infinite, 2, "value 1 of 2 is not finite");
}

TEST(Topk, KeepsTheLargestExactlyAndWithinTheBound) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const size_t count = 1 + random.Below(400);
    const double density = 0.01 + 0.98 * random.Uniform();
    Floats in = RandomFloats(count, seed);
    for (float& value : in) {
      if (seed % 3 == 0) value = std::round(value * 2) / 2;  // many ties and zeros
      if (seed % 7 == 0) value *= 1e-42f;
    }
    const auto codec = Create("topk", density);
    const Floats out = Decode(*codec, Encode(*codec, in), count);
    const size_t kept = codec->MaxEncodedBytes(count) / 8;

    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return std::fabs(in[a]) > std::fabs(in[b]); });
    Floats expected(count, 0.0f);
    for (size_t i = 0; i < kept; ++i) expected[order[i]] = in[order[i]];
    ASSERT_EQ(out, expected) << "seed " << seed;
    const double bound = (1 - static_cast<double>(kept) / count) * SquaredNorm(in);
    ASSERT_LE(ResidualEnergy(in, out), bound + 1e-12 * SquaredNorm(in)) << "seed " << seed;
  }
}

TEST(Topk, EqualMagnitudesKeepTheLowerIndexWhateverTheSign) {
  const auto codec = Create("topk", 0.5);
  EXPECT_EQ(Encode(*codec, {-1.0f, 1.0f, 2.0f, -1.0f, 1.0f, 1.0f}),
            Wire({{0, -1.0f}, {1, 1.0f}, {2, 2.0f}}));
  EXPECT_EQ(Encode(*codec, {0.0f, -0.0f, 0.0f, 0.0f}), Wire({{0, 0.0f}, {1, -0.0f}}));
}

TEST(Topk, KeepsTheShareAskedForRoundedUpAndAtLeastOne) {
  // 0.07 * 100 > 7 in double precision
  EXPECT_EQ(Create("topk", 0.07)->MaxEncodedBytes(100), 8 * 7);
  EXPECT_EQ(Create("topk", 0.071)->MaxEncodedBytes(100), 8 * 8);
  EXPECT_EQ(Create("topk", 0.001)->MaxEncodedBytes(10), 8);
  EXPECT_EQ(Create("topk", 1.0)->MaxEncodedBytes(10), 80);
  EXPECT_EQ(Create("topk", 0.01)->MaxEncodedBytes(0), 0);
}

TEST(Topk, RefusesPairsThatEncodeDoesNotWrite) {
  const auto codec = Create("topk", 0.3);  // 3 of 10
  EXPECT_EQ(Decode(*codec, Wire({{0, 1}, {5, -2}, {9, 3}}), 10),
            (Floats{1, 0, 0, 0, 0, -2, 0, 0, 0, 3}));
  ExpectRefused(*codec, Wire({{0, 1}, {5, 1}, {10, 1}}), 10,
                "index 10 of pair 2, expected one above 5 and below 10");
  ExpectRefused(*codec, Wire({{-1, 1}, {5, 1}, {9, 1}}), 10, "index -1 of pair 0");
  ExpectRefused(*codec, Wire({{0, 1}, {5, 1}, {5, 1}}), 10, "index 5 of pair 2");
  ExpectRefused(*codec, Wire({{0, 1}, {5, 1}, {4, 1}}), 10, "index 4 of pair 2");
  ExpectRefused(*codec, Wire({{std::numeric_limits<int32_t>::min(), 1}, {5, 1}, {9, 1}}), 10,
                "of pair 0");
  ExpectRefused(*codec, Wire({{std::numeric_limits<int32_t>::max(), 1}, {5, 1}, {9, 1}}), 10,
                "of pair 0");
  ExpectRefused(*codec, Wire({{0, 1}, {5, NAN}, {9, 1}}), 10, "value 5 of 10 is not finite");
  ExpectRefused(*codec, Wire({{0, 1}, {5, INFINITY}, {9, 1}}), 10, "value 5 of 10 is not finite");
}

TEST(Onebit, SendsTheMeanMagnitudeAndTheSigns) {
  const auto codec = Create("onebit");
  const Bytes encoded = Encode(*codec, {1, -2, 3, -4, 0, 0, 0, 0, -10});
  float scale;
  std::memcpy(&scale, encoded.data(), 4);
  EXPECT_EQ(scale, static_cast<float>(20.0 / 9));
  EXPECT_EQ(encoded[4], std::byte{0x0A});
  EXPECT_EQ(encoded[5], std::byte{0x01});
  EXPECT_EQ(Decode(*codec, encoded, 9),
            (Floats{scale, -scale, scale, -scale, scale, scale, scale, scale, -scale}));
}

TEST(Onebit, TheResidualHasTheEnergyOfTheFormula) {
  const auto codec = Create("onebit");
  for (const size_t count : {1, 9, 1000}) {
    const Floats in = RandomFloats(count, count);
    const Floats out = Decode(*codec, Encode(*codec, in), count);
    double l1 = 0;
    for (const float value : in) l1 += std::fabs(value);
    // The scale is rounded to float once: a relative 2^-24 of it.
    EXPECT_NEAR(ResidualEnergy(in, out), SquaredNorm(in) - l1 * l1 / count,
                0x1p-22 * SquaredNorm(in))
        << count;
  }
}

TEST(Onebit, RefusesAScaleOrSignsThatEncodeDoesNotWrite) {
  const auto codec = Create("onebit");
  for (const float scale : {NAN, INFINITY, -1.0f, -0.0f}) {
    Bytes bytes(6);
    std::memcpy(bytes.data(), &scale, 4);
    ExpectRefused(*codec, bytes, 9, "scale");
  }
  Bytes bytes(6);
  bytes[5] = std::byte{0x02};
  ExpectRefused(*codec, bytes, 9, "signs beyond the 9 floats");
}

TEST(CreateCodec, NamesWhatIsWrong) {
  CodecSpec spec;
  spec.set_name("zip");
  const absl::Status unknown = CreateCodec(spec).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(unknown.message(), "\"zip\""));
  for (const CodecInfo& info : Codecs())
    EXPECT_TRUE(absl::StrContains(unknown.message(), info.name)) << unknown;
  spec.set_name("topk");
  EXPECT_TRUE(CreateCodec(spec).ok());  // with the default
  for (const double density : {0.0, -0.1, 1.1, std::nan("")}) {
    spec.set_density(density);
    EXPECT_EQ(CreateCodec(spec).status().code(), absl::StatusCode::kInvalidArgument) << density;
  }
}

}  // namespace
}  // namespace ringmaster
