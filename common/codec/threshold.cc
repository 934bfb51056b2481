#include "common/codec/threshold.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/loops.h"
#include "common/codec/loops/threshold_loops.h"
#include "common/codec/threshold_oracle.h"
#include "common/vecmath/vecmath.h"

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
// elements that stay in the first cache between the passes over them
constexpr size_t kTile = 4096;
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
    return Finish(Collect(in, {}, out), in, {}, out);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const Sent sent = Collect(in, residual, out);
    const int64_t bytes = Finish(sent, residual, residual, out);
    if (sent.largest >= kInfinite) std::fill(residual.begin(), residual.end(), 0.0f);
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_ASSIGN_OR_RETURN(const int64_t kept, CheckedCount(in, out.size()));
    if (!IsSparse(kept, static_cast<int64_t>(out.size())))
      return UseFloats(kept, in.subspan(kCountBytes), out, loops_.store_kept);
    more_loops_.clear(out.size(), out.data());
    return AddPairs(kept, in.subspan(kCountBytes), out);
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_ASSIGN_OR_RETURN(const int64_t kept, CheckedCount(in, out.size()));
    if (!IsSparse(kept, static_cast<int64_t>(out.size())))
      return UseFloats(kept, in.subspan(kCountBytes), out, loops_.add_kept);
    return AddPairs(kept, in.subspan(kCountBytes), out);
  }

 private:
  // What is at or above the threshold: how many, and the largest magnitude of all.
  struct Sent {
    int64_t kept = 0;
    int32_t largest = 0;
    bool has_pairs = true;  // they are written
  };

  // Writes pairs while they seem to be what is sent: more than half of the elements so far are not.
  // `residual`: empty, or becomes in + residual first, and that is sent.
  Sent Collect(absl::Span<const float> in, absl::Span<float> residual,
               absl::Span<std::byte> out) const {
    const auto count = static_cast<int64_t>(in.size());
    RM_CHECK(count <= std::numeric_limits<int32_t>::max() &&
             static_cast<int64_t>(out.size()) >= MaxEncodedBytes(count));
    Sent sent;
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      absl::Span<const float> tile = in.subspan(begin, kTile);
      if (!residual.empty()) {
        const absl::Span<float> left = residual.subspan(begin, kTile);
        Add(tile, left);
        tile = left;
      }
      if (sent.has_pairs) {
        WritePairs(tile, begin, count, out, &sent);
      } else {
        Count(tile, &sent);
      }
      const int64_t seen = static_cast<int64_t>(begin + tile.size());
      sent.has_pairs = sent.has_pairs && IsSparse(sent.kept, seen);
    }
    return sent;
  }

  void Count(absl::Span<const float> tile, Sent* sent) const {
    const AboveCount of = loops_.count_above(tile.data(), tile.size(), above_);
    sent->kept += of.count;
    sent->largest = std::max(sent->largest, of.largest);
  }

  // Of a tile that begins at element `begin` of `count`, while there is room.
  void WritePairs(absl::Span<const float> tile, size_t begin, int64_t count,
                  absl::Span<std::byte> out, Sent* sent) const {
    thread_local std::vector<int32_t> indices(kTile + kCollectBlock);
    thread_local std::vector<float> values(kTile + kCollectBlock);
    Candidates found{indices.data(), values.data(), 0, kTile + kCollectBlock};
    more_loops_.collect(tile.data(), 0, tile.size(), above_, &found);
    const int64_t before = sent->kept;
    Count(absl::MakeConstSpan(values).first(found.count), sent);
    if (!IsSparse(sent->kept, count)) return;
    std::byte* const to = out.data() + kCountBytes + kPairBytes * before;
    for (size_t i = 0; i < found.count; ++i) {
      const int32_t index = indices[i] + static_cast<int32_t>(begin);
      std::memcpy(to + kPairBytes * i, &index, 4);
      std::memcpy(to + kPairBytes * i + 4, &values[i], 4);
    }
  }

  // `residual`: empty, or `values`, of which what is sent becomes 0.
  int64_t Finish(Sent sent, absl::Span<const float> values, absl::Span<float> residual,
                 absl::Span<std::byte> out) const {
    const auto count = static_cast<int64_t>(values.size());
    const auto kept = static_cast<int32_t>(sent.kept);
    std::memcpy(out.data(), &kept, kCountBytes);
    std::byte* const to = out.data() + kCountBytes;
    if (IsSparse(kept, count)) {
      if (!sent.has_pairs) {
        // The first elements were denser than the others.
        sent.kept = 0;
        for (size_t begin = 0; begin < values.size(); begin += kTile)
          WritePairs(values.subspan(begin, kTile), begin, count, out, &sent);
      }
      for (int64_t pair = 0; pair < kept && !residual.empty(); ++pair) {
        int32_t index;
        std::memcpy(&index, to + kPairBytes * pair, 4);
        residual[index] = 0;
      }
    } else {
      for (size_t begin = 0; begin < values.size(); begin += kTile) {
        const absl::Span<const float> tile = values.subspan(begin, kTile);
        loops_.keep_above(tile.data(), tile.size(), above_, to + kFloatBytes * begin);
        if (!residual.empty()) loops_.clear_above(tile.size(), above_, residual.data() + begin);
      }
    }
    return EncodedBytes(kept, count);
  }

  // How many are kept, where the length goes with it.
  static absl::StatusOr<int64_t> CheckedCount(absl::Span<const std::byte> in, size_t elements) {
    const auto count = static_cast<int64_t>(elements), bytes = static_cast<int64_t>(in.size());
    if (bytes < kCountBytes) return Refusal(bytes, " bytes, expected at least ", kCountBytes);
    int32_t kept;
    std::memcpy(&kept, in.data(), kCountBytes);
    if (kept >= 0 && kept <= count && bytes == EncodedBytes(kept, count)) return int64_t{kept};
    return Refusal(bytes, " bytes that begin with ", kept, ", expected 0 to ", count,
                   " and as many bytes as that takes of ", count, " floats");
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

  template <class Loop>
  absl::Status UseFloats(int64_t kept, absl::Span<const std::byte> in, absl::Span<float> out,
                         Loop loop) const {
    const int64_t found = loop(in.data(), out.size(), above_, out.data());
    if (found == kept) return absl::OkStatus();
    if (found >= 0) return Refusal(found, " values, expected ", kept);
    for (size_t i = 0; i < out.size(); ++i) {
      uint32_t bits;
      float value;
      std::memcpy(&bits, in.data() + kFloatBytes * i, 4);
      std::memcpy(&value, &bits, 4);
      if (bits != 0) RM_RETURN_IF_ERROR(CheckValue(static_cast<int64_t>(i), value));
    }
    return Refusal("a value that is not sent");
  }

  const float threshold_;
  const int32_t above_;  // as integers of the same order
  const ThresholdLoops& loops_ = BestThresholdLoops();
  const CodecLoops& more_loops_ = BestLoops();
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
