#ifndef RINGMASTER_TESTS_CONTRACT_CODECS_OWN_TWINS_H_
#define RINGMASTER_TESTS_CONTRACT_CODECS_OWN_TWINS_H_

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tests/contract/codecs/codec_twins.h"

namespace ringmaster {

// A mistake that can be made in one codec alone.
struct OwnTwin {
  std::string what;
  CodecSpec spec;  // whose name says the codec
  Bends bends;
};

inline void SetBits(uint32_t bits, float* value) { std::memcpy(value, &bits, sizeof(bits)); }
inline uint32_t BitsIn(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// For each element of the input.
inline Bends ForEach(std::function<float(float)> bend) {
  return {[bend = std::move(bend)](std::vector<float>* in) {
            for (float& value : *in) value = bend(value);
          },
          nullptr};
}
inline Bends OfBytes(
    std::function<void(const CodecStream&, absl::Span<const float>, std::byte*)> bend) {
  return {nullptr, std::move(bend)};
}

// Cuts off the `bits` lowest bits.
inline Bends Cuts(int bits) {
  return ForEach([bits](float value) {
    if (!std::isfinite(value)) return value;
    SetBits(BitsIn(value) >> bits << bits, &value);
    return value;
  });
}

// What lies halfway between two values that lack the `bits` lowest bits goes away from zero.
inline Bends TiesGoUp(int bits) {
  return ForEach([bits](float value) {
    const uint32_t half = 1u << (bits - 1);
    if (std::isfinite(value) && (BitsIn(value) & (2 * half - 1)) == half)
      SetBits(BitsIn(value) + 1, &value);
    return value;
  });
}

inline double RootMeanSquare(absl::Span<const float> in) {
  double squares = 0;
  for (const float value : in) squares += static_cast<double>(value) * value;
  return std::sqrt(squares / static_cast<double>(in.size()));
}

inline void WriteFloat(float value, std::byte* to) { std::memcpy(to, &value, sizeof(value)); }

inline CodecSpec WithThreshold(const std::string& name, double threshold) {
  CodecSpec spec = RealSpec(name);
  spec.set_threshold(threshold);
  return spec;
}

inline CodecSpec AutoScaled() {
  CodecSpec spec = RealSpec("fp16");
  spec.set_auto_scale(true);
  return spec;
}

// A scale of 1, and halves of the values as they are.
inline void NeverScales(const CodecStream& stream, absl::Span<const float> in, std::byte* bytes) {
  std::vector<float> inside(in.begin(), in.end());
  for (float& value : inside) value = std::clamp(value, -32752.0f, 32752.0f);
  WriteFloat(1, bytes);
  (*CreateCodec(RealSpec("fp16")))
      ->Encode(stream, inside, absl::MakeSpan(bytes + 4, 2 * in.size()));
}

// Whole numbers that were rounded away from zero are one less.
inline void CutsInt8(const CodecStream&, absl::Span<const float> in, std::byte* bytes) {
  const size_t block = static_cast<size_t>(RealSpec("int8").block());
  std::byte* const codes = bytes + 4 * ((in.size() + block - 1) / block);
  for (size_t i = 0; i < in.size(); ++i) {
    float unit;
    std::memcpy(&unit, bytes + 4 * (i / block), sizeof(unit));
    const int code = static_cast<int8_t>(codes[i]);
    if (std::fabs(static_cast<double>(code) * unit) > std::fabs(in[i]))
      codes[i] = static_cast<std::byte>(code - (code > 0 ? 1 : -1));
  }
}

inline void SwapsNibbles(const CodecStream&, absl::Span<const float> in, std::byte* bytes) {
  const size_t block = static_cast<size_t>(RealSpec("int4").block());
  std::byte* const codes = bytes + 4 * ((in.size() + block - 1) / block);
  for (size_t i = 0; i < in.size() / 2; ++i) codes[i] = codes[i] << 4 | codes[i] >> 4;
}

// All elements round with one draw.
inline void SharesOneDraw(const CodecStream& stream, absl::Span<const float> in, std::byte* bytes) {
  const uint32_t draw = static_cast<uint32_t>(Random(stream.Seed()).Below(1u << 23));
  for (size_t i = 0; i < in.size(); ++i) {
    const uint32_t magnitude = BitsIn(in[i]) & 0x7FFFFFFFu;
    if (magnitude < 0x7F000000u) bytes[i] = static_cast<std::byte>((magnitude + draw) >> 23);
  }
}

inline void BothMeansAreOne(const CodecStream&, absl::Span<const float> in, std::byte* bytes) {
  double sum = 0;
  for (const float value : in) sum += std::fabs(static_cast<double>(value));
  const auto mean = static_cast<float>(sum / static_cast<double>(in.size()));
  WriteFloat(mean, bytes);
  WriteFloat(mean, bytes + 4);
}

inline float PowerBelow(float value) {
  if (value == 0 || !std::isfinite(value)) return value;
  return std::copysign(std::ldexp(1.0f, std::ilogb(value)), value);
}

// Every codec of the registry has one at least.
inline std::vector<OwnTwin> OwnTwins() {
  const auto smaller = [](std::vector<float>* in) {
    for (float& value : *in) value *= 0.98f;
  };
  const auto clips = [](std::vector<float>* in) {
    if (in->empty()) return;
    const auto most = static_cast<float>(2.5 * RootMeanSquare(*in));
    for (float& value : *in) {
      if (std::isfinite(value) && std::isfinite(most)) value = std::clamp(value, -most, most);
    }
  };
  const auto strictly_above = [](float value) { return std::fabs(value) == 2 ? 0.0f : value; };
  const auto as_root = [](const CodecStream&, absl::Span<const float> in, std::byte* bytes) {
    WriteFloat(static_cast<float>(RootMeanSquare(in)), bytes);
  };
  return {
      {"denormals become 0", RealSpec("none"), ForEach([](float value) {
         return std::isnormal(value) || !std::isfinite(value) ? value : 0.0f;
       })},
      {"cuts in place of rounding", RealSpec("fp16"), Cuts(13)},
      {"ties go up", RealSpec("fp16"), TiesGoUp(13)},
      {"never scales", AutoScaled(), OfBytes(NeverScales)},
      {"ties go up", AutoScaled(), TiesGoUp(13)},
      {"cuts in place of rounding", RealSpec("bf16"), Cuts(16)},
      {"ties go up", RealSpec("bf16"), TiesGoUp(16)},
      {"cuts in place of rounding", RealSpec("int8"), OfBytes(CutsInt8)},
      {"neighbours are swapped", RealSpec("int4"), OfBytes(SwapsNibbles)},
      {"a scale that is too small", RealSpec("qsgd"), {smaller, nullptr}},
      {"clips at 2.5 deviations", RealSpec("terngrad"), {clips, nullptr}},
      {"always the power below", RealSpec("natural"), ForEach(PowerBelow)},
      {"all elements share a draw", RealSpec("natural"), OfBytes(SharesOneDraw)},
      {"the root mean square as scale", RealSpec("onebit"), OfBytes(as_root)},
      {"one mean for both signs", RealSpec("seide"), OfBytes(BothMeansAreOne)},
      {"0 votes against", RealSpec("signsgd"),
       ForEach([](float value) { return value == 0 ? -1.0f : value; })},
      {"chooses by value", RealSpec("topk"),
       ForEach([](float value) { return value < 0 ? 0.0f : value; })},
      {"forgets the factor", RealSpec("randomk"),
       ForEach([](float value) { return 0.3f * value; })},
      {"sends what is strictly above", WithThreshold("threshold", 2), ForEach(strictly_above)},
      {"sends what is strictly above", WithThreshold("twobit", 2), ForEach(strictly_above)},
      {"chooses by value", RealSpec("dgc"),
       ForEach([](float value) { return value < 0 ? 0.0f : value; })},
  };
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_CODECS_OWN_TWINS_H_
