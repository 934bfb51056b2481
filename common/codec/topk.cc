#include "common/codec/topk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/loops.h"
#include "common/codec/selection.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kPairBytes = 8;

// Where one thread's candidates lie: of the largest slice it has encoded, and nothing in it
// outlives a call.
Candidates Scratch(size_t room) {
  thread_local std::vector<int32_t> indices;
  thread_local std::vector<float> values;
  if (values.size() < room) {
    indices.resize(room);
    values.resize(room);
  }
  return {indices.data(), values.data(), 0, room};
}

class Topk : public Codec {
 public:
  explicit Topk(double density) : density_(density) {}

  CodecTraits traits() const override { return kTopkTraits; }
  int64_t MaxEncodedBytes(int64_t count) const override { return kPairBytes * KeptCount(count); }
  int64_t IndexBytes(int64_t encoded_bytes) const override { return encoded_bytes / 2; }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const int64_t kept = CheckedKeptCount(in.size(), out.size());
    if (kept > 0)
      WritePairs(SelectLargest(in, {}, kept, Scratch(CandidatesRoom(in.size(), kept))), out);
    return kPairBytes * kept;
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const int64_t kept = CheckedKeptCount(in.size(), out.size());
    if (kept == 0) return 0;
    const Candidates largest =
        SelectLargest(in, residual, kept, Scratch(CandidatesRoom(in.size(), kept)));
    WritePairs(largest, out);
    int32_t magnitude = 0;
    for (size_t i = 0; i < largest.count; ++i) {
      const float value = largest.values[i];
      magnitude = std::max(magnitude, MagnitudeOf(value));
      residual[largest.indices[i]] = value - (0.0f + value);
    }
    // Infinities and NaNs are the largest of all, so none is left where none is kept.
    if (magnitude >= MagnitudeOf(std::numeric_limits<float>::infinity())) {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return kPairBytes * kept;
  }

  absl::Status Decode(absl::Span<const std::byte> in, absl::Span<float> out) const override {
    BestLoops().clear(out.size(), out.data());
    return DecodeAdd(in, out);
  }

  absl::Status DecodeAdd(absl::Span<const std::byte> in, absl::Span<float> out) const override {
    const int64_t count = static_cast<int64_t>(out.size());
    const int64_t kept = KeptCount(count);
    if (static_cast<int64_t>(in.size()) != kPairBytes * kept) {
      return absl::InvalidArgumentError(
          absl::StrCat("codec \"topk\": ", in.size(), " bytes, expected ", kPairBytes * kept,
                       " for ", kept, " of ", count, " floats (density ", density_, ")"));
    }
    int32_t previous = -1;
    for (int64_t pair = 0; pair < kept; ++pair) {
      int32_t index;
      float value;
      std::memcpy(&index, in.data() + kPairBytes * pair, 4);
      std::memcpy(&value, in.data() + kPairBytes * pair + 4, 4);
      if (index <= previous || index >= count) {
        return absl::InvalidArgumentError(absl::StrCat("codec \"topk\": index ", index, " of pair ",
                                                       pair, ", expected one above ", previous,
                                                       " and below ", count));
      }
      if (!std::isfinite(value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("codec \"topk\": value ", index, " of ", count, " is not finite"));
      }
      out[index] += value;
      previous = index;
    }
    return absl::OkStatus();
  }

 private:
  int64_t KeptCount(int64_t count) const {
    const double share = density_ * static_cast<double>(count);
    // 0.07 * 100 is a little above 7 in double precision and is meant to be 7.
    const double whole = std::round(share);
    const double kept = std::fabs(share - whole) <= 1e-9 * whole ? whole : std::ceil(share);
    return std::min(count, std::max(int64_t{1}, static_cast<int64_t>(kept)));
  }

  int64_t CheckedKeptCount(size_t count, size_t room_bytes) const {
    RM_CHECK(count <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
    const int64_t kept = KeptCount(static_cast<int64_t>(count));
    RM_CHECK(static_cast<int64_t>(room_bytes) >= kPairBytes * kept);
    return kept;
  }

  static void WritePairs(const Candidates& largest, absl::Span<std::byte> out) {
    std::byte* to = out.data();
    for (size_t i = 0; i < largest.count; ++i, to += kPairBytes) {
      std::memcpy(to, &largest.indices[i], 4);
      std::memcpy(to + 4, &largest.values[i], 4);
    }
  }

  const double density_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> CreateTopk(const CodecSpec& spec) {
  // Written so that a NaN is refused.
  if (!spec.has_density() || !(spec.density() > 0 && spec.density() <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "codec.density ", spec.has_density() ? absl::StrCat(spec.density()) : "is missing",
        ": codec \"topk\" expects a number above 0 and at most 1"));
  }
  return std::unique_ptr<Codec>(std::make_unique<Topk>(spec.density()));
}

}  // namespace ringmaster
