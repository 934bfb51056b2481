#include "common/codec/threshold.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/loops.h"
#include "common/codec/threshold_oracle.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.index_bearing = true;
  traits.feedback_by_default = true;
  traits.fixed_size = false;
  return traits;
}

constexpr CodecOption kOptions[] = {{RM_CODEC_FIELD(threshold),
                                     /*default_value=*/0.001,
                                     /*above=*/0,
                                     /*most=*/1e30,
                                     "magnitudes below it are not sent",
                                     {0.5, 2}}};

constexpr int64_t kCountBytes = 4, kPairBytes = 8, kFloatBytes = 4;
constexpr size_t kRoom = 4096;  // candidates of one go
constexpr int32_t kInfinite = 0x7F800000;

bool IsSparse(int64_t kept, int64_t count) { return 2 * kept < count; }

int64_t EncodedBytes(int64_t kept, int64_t count) {
  return kCountBytes + (IsSparse(kept, count) ? kPairBytes * kept : kFloatBytes * count);
}

template <typename... Parts>
absl::Status Refusal(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("codec \"threshold\": ", parts...));
}

class Threshold : public Codec {
 public:
  explicit Threshold(float threshold) : threshold_(threshold), above_(MagnitudeOf(threshold) - 1) {}

  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override {
    return kCountBytes + kFloatBytes * count;
  }
  // All floats where the length is that of all: pairs are fewer bytes.
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return encoded.bytes == MaxEncodedBytes(encoded.count) ? 0 : (encoded.bytes - kCountBytes) / 2;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const Sent sent = Collect(in, {}, out);
    return Finish(sent, in, out);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const Sent sent = Collect(in, residual, out);
    const int64_t bytes = Finish(sent, residual, out);
    if (sent.largest >= kInfinite) {
      std::fill(residual.begin(), residual.end(), 0.0f);
    } else {
      for (float& value : residual) value = MagnitudeOf(value) > above_ ? 0.0f : value;
    }
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    loops_.clear(out.size(), out.data());
    return DecodeAdd(stream, in, out);
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    const auto count = static_cast<int64_t>(out.size()), bytes = static_cast<int64_t>(in.size());
    if (bytes < kCountBytes) return Refusal(bytes, " bytes, expected at least ", kCountBytes);
    int32_t kept;
    std::memcpy(&kept, in.data(), kCountBytes);
    if (kept < 0 || kept > count || bytes != EncodedBytes(kept, count)) {
      return Refusal(bytes, " bytes that begin with ", kept, ", expected 0 to ", count,
                     " and as many bytes as that takes of ", count, " floats");
    }
    return IsSparse(kept, count) ? AddPairs(kept, in.subspan(kCountBytes), out)
                                 : AddFloats(kept, in.subspan(kCountBytes), out);
  }

 private:
  // What is at or above the threshold: how many, and the largest magnitude of them.
  struct Sent {
    int64_t kept = 0;
    int32_t largest = 0;
  };

  // Writes pairs while they may be what is sent. `residual`: empty, or becomes in + residual first,
  // and that is sent.
  Sent Collect(absl::Span<const float> in, absl::Span<float> residual,
               absl::Span<std::byte> out) const {
    const auto count = static_cast<int64_t>(in.size());
    RM_CHECK(count <= std::numeric_limits<int32_t>::max() &&
             static_cast<int64_t>(out.size()) >= MaxEncodedBytes(count));
    thread_local std::vector<int32_t> indices(kRoom);
    thread_local std::vector<float> values(kRoom);
    Sent sent;
    for (size_t at = 0; at < in.size();) {
      Candidates found{indices.data(), values.data(), 0, kRoom};
      at = residual.empty() ? loops_.collect(in.data(), at, in.size(), above_, &found)
                            : loops_.collect_corrected(in.data(), residual.data(), at, in.size(),
                                                       above_, &found);
      for (size_t i = 0; i < found.count; ++i, ++sent.kept) {
        sent.largest = std::max(sent.largest, MagnitudeOf(found.values[i]));
        if (!IsSparse(sent.kept + 1, count)) continue;
        std::byte* const to = out.data() + kCountBytes + kPairBytes * sent.kept;
        std::memcpy(to, &found.indices[i], 4);
        std::memcpy(to + 4, &found.values[i], 4);
      }
    }
    return sent;
  }

  int64_t Finish(const Sent& sent, absl::Span<const float> values,
                 absl::Span<std::byte> out) const {
    const auto kept = static_cast<int32_t>(sent.kept);
    std::memcpy(out.data(), &kept, kCountBytes);
    const auto count = static_cast<int64_t>(values.size());
    if (!IsSparse(kept, count)) {
      std::byte* to = out.data() + kCountBytes;
      for (const float value : values) {
        const float written = MagnitudeOf(value) > above_ ? value : 0.0f;
        std::memcpy(to, &written, kFloatBytes);
        to += kFloatBytes;
      }
    }
    return EncodedBytes(kept, count);
  }

  absl::Status CheckValue(int64_t index, float value) const {
    if (MagnitudeOf(value) > above_ && std::isfinite(value)) return absl::OkStatus();
    return Refusal("value ", index, " is ", value, ", expected a magnitude of at least ",
                   threshold_);
  }

  absl::Status AddPairs(int64_t kept, absl::Span<const std::byte> in, absl::Span<float> out) const {
    int64_t previous = -1;
    for (int64_t pair = 0; pair < kept; ++pair) {
      int32_t index;
      float value;
      std::memcpy(&index, in.data() + kPairBytes * pair, 4);
      std::memcpy(&value, in.data() + kPairBytes * pair + 4, 4);
      if (index <= previous || index >= static_cast<int64_t>(out.size())) {
        return Refusal("index ", index, " of pair ", pair, ", expected one above ", previous,
                       " and below ", out.size());
      }
      RM_RETURN_IF_ERROR(CheckValue(index, value));
      out[index] += value;
      previous = index;
    }
    return absl::OkStatus();
  }

  absl::Status AddFloats(int64_t kept, absl::Span<const std::byte> in,
                         absl::Span<float> out) const {
    int64_t found = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      uint32_t bits;
      float value;
      std::memcpy(&bits, in.data() + kFloatBytes * i, 4);
      std::memcpy(&value, &bits, 4);
      if (bits == 0) continue;
      RM_RETURN_IF_ERROR(CheckValue(static_cast<int64_t>(i), value));
      out[i] += value;
      ++found;
    }
    if (found == kept) return absl::OkStatus();
    return Refusal(found, " values, expected ", kept);
  }

  const float threshold_;
  const int32_t above_;  // as integers of the same order
  const CodecLoops& loops_ = BestLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateThreshold(const CodecSpec& spec) {
  const auto threshold = static_cast<float>(codec_fields::Get_threshold(spec));
  if (!std::isfinite(threshold) || threshold == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("codec.threshold ", codec_fields::Get_threshold(spec),
                     ": codec \"threshold\" expects a float above 0"));
  }
  return std::unique_ptr<Codec>(std::make_unique<Threshold>(threshold));
}

}  // namespace

constexpr CodecDefinition kThresholdCodec = {
    {"threshold", "all magnitudes at or above `threshold`: 8 bytes for each, 4 an element at most",
     Traits(), &kThresholdOracle, kOptions},
    CreateThreshold};

}  // namespace ringmaster
