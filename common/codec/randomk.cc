#include "common/codec/randomk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/kept_count.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/loops/loops.h"
#include "common/codec/shared_draw.h"
#include "common/vecmath/vecmath.h"
#include "common/codec/randomk_oracle.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.unbiased = true;
  traits.summable_as = ElementType::kFloat32;
  traits.is_random = true;
  return traits;
}

constexpr CodecOption kOptions[] = {{RM_CODEC_FIELD(density),
                                     /*default_value=*/0.01,
                                     /*above=*/0,
                                     /*most=*/1,
                                     "the share of elements that is sent",
                                     {0.3, 1}}};

constexpr int64_t kValueBytes = 4;
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr int32_t kInfinite = 0x7F800000;
// elements that stay in the first cache between the passes over them
constexpr size_t kTile = 4096;

class Randomk : public Codec {
 public:
  Randomk(double density, bool is_scaled) : density_(density), is_scaled_(is_scaled) {}

  CodecTraits traits() const override {
    CodecTraits traits = Traits();
    traits.unbiased = is_scaled_;
    return traits;
  }
  int64_t MaxEncodedBytes(int64_t count) const override {
    return kValueBytes * KeptCount(density_, count);
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return EncodeDrawn(stream, in, {}, out);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    return EncodeDrawn(stream, in, residual, out);
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return DecodeDrawn(stream, in, out,
                       [](absl::Span<float> tile) { BestLoops().clear(tile.size(), tile.data()); });
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return DecodeDrawn(stream, in, out, [](absl::Span<float>) {});
  }

 private:
  // In memory of the thread, until its next call.
  const std::vector<int32_t>& Draw(const SharedStream& stream, int64_t count) const {
    thread_local std::vector<int32_t> indices;
    DrawElements(stream.SharedSeed(), count, KeptCount(density_, count), &indices);
    return indices;
  }

  // `prepare`: what is done to each tile of `out` before values are added to it.
  template <class Prepare>
  absl::Status DecodeDrawn(const SharedStream& stream, absl::Span<const std::byte> in,
                           absl::Span<float> out, Prepare prepare) const {
    const auto count = static_cast<int64_t>(out.size());
    if (static_cast<int64_t>(in.size()) != MaxEncodedBytes(count)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "codec \"randomk\": ", in.size(), " bytes, expected ", MaxEncodedBytes(count), " for ",
          KeptCount(density_, count), " of ", count, " floats (density ", density_, ")"));
    }
    const std::byte* from = in.data();
    const std::vector<int32_t>& drawn = Draw(stream, count);
    auto index = drawn.begin();
    for (size_t begin = 0; begin < out.size(); begin += kTile) {
      const absl::Span<float> tile = out.subspan(begin, kTile);
      prepare(tile);
      for (; index != drawn.end() && *index < static_cast<int64_t>(begin + tile.size()); ++index) {
        float value;
        std::memcpy(&value, from, kValueBytes);
        from += kValueBytes;
        if (!std::isfinite(value)) {
          return absl::InvalidArgumentError(
              absl::StrCat("codec \"randomk\": value ", *index, " of ", count, " is not finite"));
        }
        out[*index] += value;
      }
    }
    return absl::OkStatus();
  }

  // Tile by tile, while it is in the first cache. `residual`: empty, or becomes in + residual
  // first, and that is sent and taken away.
  int64_t EncodeDrawn(const CodecStream& stream, absl::Span<const float> in,
                      absl::Span<float> residual, absl::Span<std::byte> out) const {
    const auto count = static_cast<int64_t>(in.size());
    const int64_t bytes = MaxEncodedBytes(count);
    RM_CHECK(static_cast<int64_t>(out.size()) >= bytes);
    if (count == 0) return 0;
    const float scale = is_scaled_
                            ? static_cast<float>(static_cast<double>(count) /
                                                 static_cast<double>(KeptCount(density_, count)))
                            : 1.0f;
    std::byte* to = out.data();
    const std::vector<int32_t>& drawn = Draw(stream, count);
    auto index = drawn.begin();
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      absl::Span<const float> tile = in.subspan(begin, kTile);
      if (!residual.empty()) {
        Add(tile, residual.subspan(begin, kTile));
        tile = residual.subspan(begin, kTile);
      }
      if (loops_.largest(tile.data(), tile.size()) >= kInfinite)
        return PassOn(residual, out.first(bytes));
      for (; index != drawn.end() && *index < static_cast<int64_t>(begin + tile.size()); ++index) {
        const float value = tile[*index - begin];
        const float sent = std::clamp(scale * value, -kLargest, kLargest);
        std::memcpy(to, &sent, kValueBytes);
        to += kValueBytes;
        if (!residual.empty()) residual[*index] = value - (0.0f + sent);
      }
    }
    return bytes;
  }

  // Elements that are not finite need not be among the drawn ones: the receivers learn of them by a
  // value that is not a number.
  static int64_t PassOn(absl::Span<float> residual, absl::Span<std::byte> out) {
    std::fill(residual.begin(), residual.end(), 0.0f);
    std::fill(out.begin(), out.end(), std::byte{0});
    const float not_finite = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(out.data(), &not_finite, kValueBytes);
    return static_cast<int64_t>(out.size());
  }

  const double density_;
  const bool is_scaled_;
  const LevelLoops& loops_ = BestLevelLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateRandomk(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Randomk>(spec.density(), !spec.error_feedback()));
}

}  // namespace

constexpr CodecDefinition kRandomkCodec = {
    {"randomk", "the share `density`, drawn alike by all: 4 bytes for each, summed on the wire",
     Traits(), &kRandomkOracle, kOptions},
    CreateRandomk};

}  // namespace ringmaster
