#include "common/codec/scaled_fp16.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/loops/loops.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr int64_t kScaleBytes = 4;
// elements that stay in the first cache between the passes over them
constexpr size_t kTile = 2048;
constexpr float kLargestScaled = 32752.0f;
constexpr int kScaleExponentMost = 126;

absl::Status CheckScale(float scale) {
  int exponent = 0;
  // Written so that a NaN is refused.
  if (scale > 0 && std::isfinite(scale) && std::frexp(scale, &exponent) == 0.5f &&
      exponent - 1 >= -113 && exponent - 1 <= kScaleExponentMost) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("codec \"fp16\": scale ", scale,
                   ", expected a power of two of 2^-113 to 2^126; a gradient that is not finite "
                   "has none"));
}

// `magnitude`: the bits of the largest of an encoding. What is not finite is its own scale.
float ScaleOf(int32_t magnitude) {
  float largest;
  std::memcpy(&largest, &magnitude, sizeof(largest));
  if (!std::isfinite(largest)) return largest;
  if (largest == 0) return 1;
  return std::ldexp(1.0f, std::min(14 - std::ilogb(largest), kScaleExponentMost));
}

class ScaledFp16 : public Codec {
 public:
  explicit ScaledFp16(const CodecTraits& traits) : traits_(traits) {}

  CodecTraits traits() const override { return traits_; }
  int64_t MaxEncodedBytes(int64_t count) const override { return kScaleBytes + 2 * count; }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const float scale = WriteScale(in, out);
    EncodeHalves(in, scale, out.data() + kScaleBytes);
    return MaxEncodedBytes(static_cast<int64_t>(in.size()));
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    Add(in, residual);
    const float scale = WriteScale(residual, out);
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      const absl::Span<float> left = residual.subspan(begin, kTile);
      std::byte* const halves = out.data() + kScaleBytes + 2 * begin;
      EncodeHalves(left, scale, halves);
      loops_.add_halves(halves, left.size(), {-1 / scale, kLargestScaled}, left.data());
    }
    if (!std::isfinite(scale)) std::fill(residual.begin(), residual.end(), 0.0f);
    return MaxEncodedBytes(static_cast<int64_t>(in.size()));
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.decode_halves);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.add_halves);
  }

 private:
  float WriteScale(absl::Span<const float> in, absl::Span<std::byte> out) const {
    RM_CHECK(static_cast<int64_t>(out.size()) >= MaxEncodedBytes(static_cast<int64_t>(in.size())));
    const float scale = ScaleOf(more_loops_.largest(in.data(), in.size()));
    std::memcpy(out.data(), &scale, kScaleBytes);
    return scale;
  }

  // Zeros where the scale is not finite.
  void EncodeHalves(absl::Span<const float> in, float scale, std::byte* halves) const {
    if (std::isfinite(scale)) {
      loops_.encode_halves(in.data(), in.size(), {scale, kLargestScaled}, halves);
    } else {
      std::memset(halves, 0, 2 * in.size());
    }
  }

  template <class Loop>
  absl::Status DecodeWith(absl::Span<const std::byte> in, absl::Span<float> out, Loop loop) const {
    const int64_t count = static_cast<int64_t>(out.size());
    if (static_cast<int64_t>(in.size()) != MaxEncodedBytes(count)) {
      return absl::InvalidArgumentError(absl::StrCat("codec \"fp16\": ", in.size(),
                                                     " bytes, expected ", MaxEncodedBytes(count),
                                                     " for a scale and ", count, " floats"));
    }
    float scale;
    std::memcpy(&scale, in.data(), kScaleBytes);
    RM_RETURN_IF_ERROR(CheckScale(scale));
    if (loop(in.data() + kScaleBytes, out.size(), {1 / scale, kLargestScaled}, out.data()))
      return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("codec \"fp16\": a scaled value of ", count, " is above ", kLargestScaled));
  }

  const CodecTraits traits_;
  const CodecLoops& loops_ = BestLoops();
  const LevelLoops& more_loops_ = BestLevelLoops();
};

}  // namespace

std::unique_ptr<Codec> CreateScaledFp16(const CodecTraits& traits) {
  return std::make_unique<ScaledFp16>(traits);
}

}  // namespace ringmaster
