// What every codec of the registry promises, whatever it does: a new codec is tested here by being registered.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/codec/codec.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Encoded = std::vector<std::byte>;

std::unique_ptr<Codec> Create(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  spec.set_density(0.1);
  absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

struct Input {
  std::string name;
  Floats values;
};

std::vector<Input> Inputs() {
  std::vector<Input> inputs;
  for (const int64_t count : {0, 1, 2, 7, 8, 9, 63, 1000, 1024, 2500}) {
    Random random(count);
    Floats normal(count), denormal(count), huge(count), spread(count);
    for (int64_t i = 0; i < count; ++i) {
      normal[i] = random.Normal();
      denormal[i] = random.Normal() * 1e-40f;
      huge[i] = (random.Uniform() - 0.5f) * 2.0f * std::numeric_limits<float>::max();
      spread[i] = random.Normal() * std::ldexp(1.0f, static_cast<int>(random.Below(60)) - 40);
    }
    inputs.push_back({"normal", normal});
    inputs.push_back({"denormal", denormal});
    inputs.push_back({"huge", huge});
    inputs.push_back({"spread", spread});
    inputs.push_back({"zero", Floats(count, 0.0f)});
    inputs.push_back({"negative zero", Floats(count, -0.0f)});
    inputs.push_back({"constant", Floats(count, -0.75f)});
    inputs.push_back({"largest", Floats(count, std::numeric_limits<float>::max())});
  }
  return inputs;
}

Encoded Encode(const Codec& codec, const Floats& in) {
  Encoded out(codec.MaxEncodedBytes(in.size()), std::byte{0xAB});
  const int64_t bytes = codec.Encode(in, 1, absl::MakeSpan(out));
  EXPECT_GE(bytes, 0);
  EXPECT_LE(bytes, static_cast<int64_t>(out.size()));
  out.resize(bytes);
  return out;
}

class CodecContract : public ::testing::TestWithParam<CodecInfo> {};

TEST_P(CodecContract, TheRegistryAndTheCodecAgreeOnTraits) {
  const CodecTraits is = Create(GetParam().name)->traits(), says = GetParam().traits;
  EXPECT_EQ(is.exact, says.exact);
  EXPECT_EQ(is.unbiased, says.unbiased);
  EXPECT_EQ(is.summable_on_wire, says.summable_on_wire);
  EXPECT_EQ(is.index_bearing, says.index_bearing);
  EXPECT_EQ(says.summable_on_wire, std::string(GetParam().name) == "fp16");
}

TEST_P(CodecContract, DecodesWhatItEncodedIntoEveryElementAtAnyAddress) {
  const auto codec = Create(GetParam().name);
  for (const Input& input : Inputs()) {
    SCOPED_TRACE(absl::StrCat(input.name, " of ", input.values.size()));
    const size_t count = input.values.size();
    const Encoded encoded = Encode(*codec, input.values);
    Floats decoded(count, NAN);
    absl::Status status = codec->Decode(encoded, absl::MakeSpan(decoded));
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(FirstNotFinite(decoded), count);
    ASSERT_TRUE(!codec->traits().exact || count == 0 ||
                std::memcmp(decoded.data(), input.values.data(), 4 * count) == 0);
    const int64_t index_bytes = codec->IndexBytes(encoded.size());
    ASSERT_EQ(index_bytes > 0, codec->traits().index_bearing && count > 0);
    ASSERT_LE(index_bytes, static_cast<int64_t>(encoded.size()));

    // The same bytes one address further, out of every alignment.
    Encoded shifted(codec->MaxEncodedBytes(count) + 1);
    ASSERT_EQ(codec->Encode(input.values, 1, absl::MakeSpan(shifted).subspan(1)),
              static_cast<int64_t>(encoded.size()));
    ASSERT_TRUE(std::equal(encoded.begin(), encoded.end(), shifted.begin() + 1)) << "same input, other bytes";
    Floats again(count, NAN);
    status = codec->Decode(absl::MakeSpan(shifted).subspan(1, encoded.size()), absl::MakeSpan(again));
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(again, decoded);
  }
}

TEST_P(CodecContract, DecodeAddIsDecodeThenAdd) {
  const auto codec = Create(GetParam().name);
  for (const Input& input : Inputs()) {
    SCOPED_TRACE(absl::StrCat(input.name, " of ", input.values.size()));
    const size_t count = input.values.size();
    const Encoded encoded = Encode(*codec, input.values);
    Random random(9);
    Floats sum(count);
    for (float& value : sum) value = random.Normal();
    Floats expected = sum, decoded(count);
    ASSERT_TRUE(codec->Decode(encoded, absl::MakeSpan(decoded)).ok());
    Add(decoded, absl::MakeSpan(expected));
    ASSERT_TRUE(codec->DecodeAdd(encoded, absl::MakeSpan(sum)).ok());
    ASSERT_EQ(sum, expected);
  }
}

TEST_P(CodecContract, RefusesEveryOtherLength) {
  const auto codec = Create(GetParam().name);
  for (const size_t count : {0, 1, 9, 100}) {
    Encoded encoded = Encode(*codec, Floats(count, 1.0f));
    const size_t size = encoded.size();
    encoded.resize(size + 9);
    Floats out(count);
    for (size_t bytes = 0; bytes <= encoded.size(); ++bytes) {
      if (bytes == size) continue;
      const auto part = absl::MakeConstSpan(encoded).subspan(0, bytes);
      ASSERT_EQ(codec->Decode(part, absl::MakeSpan(out)).code(), absl::StatusCode::kInvalidArgument) << bytes;
      ASSERT_EQ(codec->DecodeAdd(part, absl::MakeSpan(out)).code(), absl::StatusCode::kInvalidArgument) << bytes;
    }
  }
}

TEST_P(CodecContract, RefusesAGradientThatIsNotFinite) {
  const auto codec = Create(GetParam().name);
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    for (const size_t where : {0, 5, 1999}) {
      Floats in(2000, 1.0f);
      in[where] = bad;
      const Encoded encoded = Encode(*codec, in);
      Floats out(2000);
      EXPECT_EQ(codec->Decode(encoded, absl::MakeSpan(out)).code(), absl::StatusCode::kInvalidArgument) << bad;
      EXPECT_EQ(codec->DecodeAdd(encoded, absl::MakeSpan(out)).code(), absl::StatusCode::kInvalidArgument) << bad;
    }
  }
}

TEST_P(CodecContract, HostileBytesGiveAStatusOrFiniteFloatsAndTouchNothingElse) {
  const auto codec = Create(GetParam().name);
  int refused = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Random random(seed);
    const size_t count = random.Below(100);
    Floats in(count);
    for (float& value : in) value = random.Normal();
    Encoded encoded = Encode(*codec, in);
    if (random.Below(2) == 0) encoded.resize(random.Below(encoded.size() + 20));
    const uint64_t changes = random.Below(8);
    for (uint64_t i = 0; i < changes && !encoded.empty(); ++i) {
      encoded[random.Below(encoded.size())] = static_cast<std::byte>(random.Next());
    }
    // A guard on both sides of the output.
    Floats memory(count + 32, 42.0f);
    const absl::Span<float> out = absl::MakeSpan(memory).subspan(16, count);
    const absl::Status status = random.Below(2) == 0 ? codec->Decode(encoded, out) : codec->DecodeAdd(encoded, out);
    if (status.ok()) {
      ASSERT_EQ(FirstNotFinite(out), count) << "seed " << seed;
    } else {
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "seed " << seed;
      ++refused;
    }
    for (size_t i = 0; i < 16; ++i) {
      ASSERT_EQ(memory[i], 42.0f) << "seed " << seed;
      ASSERT_EQ(memory[16 + count + i], 42.0f) << "seed " << seed;
    }
  }
  EXPECT_GT(refused, 1000);
}

INSTANTIATE_TEST_SUITE_P(All, CodecContract, ::testing::ValuesIn(Codecs().begin(), Codecs().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace ringmaster
