// What encoders do on a device, done on the host: the same bytes and residuals as the codecs.

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/codec/blocks/bf16_blocks.h"
#include "common/codec/blocks/fp16_blocks.h"
#include "common/codec/blocks/level_blocks.h"
#include "common/codec/blocks/onebit_blocks.h"
#include "common/codec/blocks/topk_blocks.h"
#include "common/codec/codec.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/loops/loops.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/common/codec/host_launcher.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

struct Case {
  std::string codec;
  double density = 1;  // topk's
  int32_t block = 0;   // of codecs whose elements share units; 0: the default
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.codec << " " << c.density << " " << c.block;
}

constexpr int32_t kDefaultBlock = 256;

std::unique_ptr<Codec> Create(const Case& of) {
  CodecSpec spec;
  spec.set_name(of.codec);
  if (of.block > 0) spec.set_block(of.block);
  if (of.codec == "topk") spec.set_density(of.density);
  SetCodecDefaults(&spec);
  return *CreateCodec(spec);
}

// An encoding and what it leaves; memory that is not written keeps a pattern.
struct Encoded {
  std::vector<std::byte> bytes;
  Floats residual;
};

Encoded ByCodec(const Codec& codec, const Floats& in, Floats residual) {
  Encoded out{std::vector<std::byte>(codec.MaxEncodedBytes(in.size()) + 8, std::byte{0xAB}),
              std::move(residual)};
  if (out.residual.empty()) {
    codec.Encode({}, in, absl::MakeSpan(out.bytes));
  } else {
    codec.EncodeCorrected({}, in, absl::MakeSpan(out.residual), absl::MakeSpan(out.bytes));
  }
  return out;
}

Encoded ByBlocks(const Case& of, const Codec& codec, const Floats& in, Floats residual,
                 uint64_t seed) {
  Encoded out{std::vector<std::byte>(codec.MaxEncodedBytes(in.size()) + 8, std::byte{0xAB}),
              std::move(residual)};
  float* const left = out.residual.empty() ? nullptr : out.residual.data();
  const int64_t count = in.size();
  const std::string& name = of.codec;
  HostLauncher launcher(seed);
  if (name == "fp16") {
    uint32_t not_finite = 77;
    EncodeFp16(launcher, {in.data(), left, count, reinterpret_cast<uint16_t*>(out.bytes.data()),
                          &not_finite});
  } else if (name == "bf16") {
    uint32_t not_finite = 77;
    EncodeBf16(launcher, {in.data(), left, count, reinterpret_cast<uint16_t*>(out.bytes.data()),
                          &not_finite});
  } else if (name == "int8" || name == "int4") {
    const bool bytes = name == "int8";
    uint32_t not_finite = 77;
    const int64_t block = of.block > 0 ? of.block : kDefaultBlock;
    std::vector<float> inverses(LevelBlocks(count, block), NAN);
    EncodeLevels(launcher,
                 {in.data(), left, count, block, bytes ? 127 : 7, bytes ? 8 : 4,
                  reinterpret_cast<uint8_t*>(out.bytes.data()), &not_finite, inverses.data()});
  } else if (name == "onebit") {
    std::vector<double> lanes(OnebitSumBlocks(count) * kSumLanes, NAN);
    EncodeOnebit(launcher, {in.data(), left, count, reinterpret_cast<uint8_t*>(out.bytes.data()),
                            lanes.data()});
  } else {
    TopkSearch search;
    std::memset(&search, 0xCD, sizeof(search));
    std::vector<TopkCounts> tiles(TopkTiles(count), {77, 77});
    EncodeTopk(launcher, {in.data(), left, count, codec.MaxEncodedBytes(count) / 8,
                          reinterpret_cast<uint32_t*>(out.bytes.data()), &search, tiles.data()});
  }
  return out;
}

bool SameBits(const Floats& a, const Floats& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

Floats Gradient(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values)
    value = random.Normal() * std::ldexp(1.0f, -static_cast<int>(random.Below(30)));
  return values;
}

// Few magnitudes, so that there are ties at whatever place the kept ones end.
Floats Ties(size_t count, uint64_t seed) {
  constexpr float kValues[] = {1.0f, -1.0f, 0.5f, -0.5f, 0.0f, -0.0f};
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = kValues[random.Below(6)];
  return values;
}

// Subnormal ones, and those about the borders of halves.
Floats Strange(size_t count, uint64_t seed) {
  constexpr float kValues[] = {65504.0f, -65519.0f, 65520.0f,    1e30f,  -1e-7f, 5.96e-8f, 2.98e-8f,
                               2.99e-8f, 6.1e-5f,   -6.1035e-5f, 1e-42f, -0.0f,  0.0f};
  Random random(seed);
  Floats values(count);
  for (float& value : values)
    value = random.Below(3) == 0 ? random.Normal() : kValues[random.Below(13)];
  return values;
}

class Blocks : public testing::TestWithParam<Case> {};
// Every codec that devices encode, with several densities where it has one.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const CodecInfo& info : Codecs()) {
    if (!info.traits.device_kind) continue;
    if (HasLevels(*info.traits.device_kind)) {
      for (const int32_t block : {0, 1, 7, 1000}) cases.push_back({info.name, 1, block});
      continue;
    }
    if (FindOption(info, "density") == nullptr) {
      cases.push_back({info.name});
      continue;
    }
    for (const double density : {0.001, 0.01, 0.3, 1.0}) cases.push_back({info.name, density});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, Blocks, testing::ValuesIn(Cases()));

TEST_P(Blocks, GiveTheCodecsBytesAndResidualToTheLastBit) {
  const auto codec = Create(GetParam());
  uint64_t seed = 1;
  for (const size_t count :
       {1, 2, 7, 8, 31, 32, 33, 255, 256, 4095, 4096, 4097, 5000, 32768, 32769, 100003, 1 << 20}) {
    for (const auto& make : {Gradient, Ties, Strange}) {
      ++seed;
      const Floats in = make(count, seed), before = make(count, seed + 1000);
      const Encoded plain = ByCodec(*codec, in, {}),
                    plain_blocks = ByBlocks(GetParam(), *codec, in, {}, seed);
      ASSERT_TRUE(plain.bytes == plain_blocks.bytes) << count << " floats, seed " << seed;
      const Encoded corrected = ByCodec(*codec, in, before);
      const Encoded blocks = ByBlocks(GetParam(), *codec, in, before, seed);
      ASSERT_TRUE(corrected.bytes == blocks.bytes) << count << " floats, seed " << seed;
      ASSERT_TRUE(SameBits(corrected.residual, blocks.residual))
          << count << " floats, seed " << seed;
    }
  }
}

// All of a step's rounds: what one leaves is what the next one finds.
TEST_P(Blocks, StayWithTheCodecOverManySteps) {
  const auto codec = Create(GetParam());
  constexpr size_t kCount = 9001;
  Floats by_codec(kCount, 0.0f), by_blocks(kCount, 0.0f);
  for (uint64_t step = 0; step < 30; ++step) {
    const Floats in = Gradient(kCount, step + 5);
    const Encoded a = ByCodec(*codec, in, by_codec),
                  b = ByBlocks(GetParam(), *codec, in, by_blocks, step);
    ASSERT_TRUE(a.bytes == b.bytes) << "step " << step;
    by_codec = a.residual;
    by_blocks = b.residual;
  }
  EXPECT_TRUE(SameBits(by_codec, by_blocks));
}

TEST_P(Blocks, WhatIsNotFiniteIsPassedOnAndForgotten) {
  const auto codec = Create(GetParam());
  for (const float value : {INFINITY, -INFINITY, NAN}) {
    for (const size_t at : {size_t{0}, size_t{4999}, size_t{9000}}) {
      Floats in = Gradient(9001, 3);
      in[at] = value;
      const Encoded a = ByCodec(*codec, in, Gradient(9001, 4));
      const Encoded b = ByBlocks(GetParam(), *codec, in, Gradient(9001, 4), at);
      EXPECT_TRUE(a.bytes == b.bytes) << value << " at " << at;
      EXPECT_TRUE(SameBits(b.residual, Floats(9001, 0.0f))) << value << " at " << at;
      Floats out(in.size());
      EXPECT_TRUE(absl::IsInvalidArgument(codec->Decode(
          {}, absl::MakeConstSpan(b.bytes).first(b.bytes.size() - 8), absl::MakeSpan(out))));
    }
  }
}

// 2^24 + 1 is halfway between two floats, and what is added to it one after the other is lost:
// added to each other first, it would not be.
TEST(Onebit, BlocksAreAddedInTheirOrderByAllOfThem) {
  Floats in(4 * kSumBlock, 0.0f);
  in[0] = 0x1p24f;
  in[kSumLanes] = 1.0f;
  in[kSumBlock] = 0x1p-29f;
  in[2 * kSumBlock] = 0x1p-29f;
  const auto codec = Create({"onebit"});
  for (const Encoded& encoded :
       {ByCodec(*codec, in, {}), ByBlocks({"onebit"}, *codec, in, {}, 1)}) {
    float scale;
    std::memcpy(&scale, encoded.bytes.data(), sizeof(scale));
    EXPECT_EQ(scale, 1024.0f);
  }
}

// Every exponent, both signs, and of the significands those about the places where a half is
// rounded, and many others.
TEST(HalfOf, RoundsAsTheProcessorDoes) {
  std::vector<float> values;
  for (uint32_t upper = 0; upper < 1 << 16; ++upper) {
    for (const uint32_t lower :
         {0x0000u, 0x0001u, 0x0FFFu, 0x1000u, 0x1001u, 0x1FFFu, 0x2000u, 0x3000u, 0x7FFFu, 0x8000u,
          0x9000u, 0xAFFFu, 0xB000u, 0xB001u, 0xD000u, 0xFFFFu, upper * 40503u & 0xFFFF}) {
      values.push_back(FloatOfBits(upper << 16 | lower));
    }
  }
  std::vector<std::byte> halves(2 * values.size());
  Avx2Loops().encode_halves(values.data(), values.size(), {}, halves.data());
  std::vector<float> decoded(values.size());
  Avx2Loops().decode_halves(halves.data(), values.size(), {}, decoded.data());
  size_t wrong = 0, wrong_back = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, &halves[2 * i], 2);
    wrong += HalfOf(values[i]) != half;
    if ((half & 0x7C00) != 0x7C00) wrong_back += BitsOf(FloatOfHalf(half)) != BitsOf(decoded[i]);
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(wrong_back, 0u);
}

TEST(BfloatOf, RoundsAsTheLoopsDo) {
  std::vector<float> values;
  for (uint32_t upper = 0; upper < 1 << 16; ++upper) {
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu})
      values.push_back(FloatOfBits(upper << 16 | lower));
  }
  std::vector<std::byte> bfloats(2 * values.size());
  Avx2LevelLoops().encode_bfloats(values.data(), values.size(), bfloats.data());
  size_t wrong = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bfloat;
    std::memcpy(&bfloat, &bfloats[2 * i], 2);
    wrong += BfloatOf(values[i]) != bfloat;
  }
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace ringmaster
