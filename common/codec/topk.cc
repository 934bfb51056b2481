#include "common/codec/topk.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kPairBytes = 8;

// |value| as an integer of the same order; NaNs stand above infinity.
uint32_t Magnitude(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits & 0x7FFFFFFFu;
}

// What separates the kept from the rest: all above `magnitude`, and the first `ties` that equal it.
struct Threshold {
  uint32_t magnitude = 0;
  int64_t ties = 0;
};

// Exact selection of the k-th largest magnitude by its digits, the highest first: three passes, no memory but the
// counters, and a cost that does not depend on the values. 1 <= k <= in.size().
Threshold SelectThreshold(absl::Span<const float> in, int64_t k) {
  struct Digit {
    int shift;
    int bits;
  };
  constexpr Digit kDigits[] = {{20, 11}, {10, 10}, {0, 10}};
  std::array<int64_t, 2048> counters;
  uint32_t prefix = 0;  // the digits found so far
  int64_t rest = k;     // of the elements with this prefix, how many are kept
  for (const Digit& digit : kDigits) {
    const uint32_t mask = (1u << digit.bits) - 1;
    std::fill(counters.begin(), counters.begin() + mask + 1, 0);
    for (const float value : in) {
      const uint32_t shifted = Magnitude(value) >> digit.shift;
      if (shifted >> digit.bits == prefix) ++counters[shifted & mask];
    }
    uint32_t chosen = mask;
    while (counters[chosen] < rest) rest -= counters[chosen--];
    prefix = prefix << digit.bits | chosen;
  }
  return {prefix, rest};
}

class Topk : public Codec {
 public:
  explicit Topk(double density) : density_(density) {}

  CodecTraits traits() const override { return kTopkTraits; }
  int64_t MaxEncodedBytes(int64_t count) const override { return kPairBytes * KeptCount(count); }
  int64_t IndexBytes(int64_t encoded_bytes) const override { return encoded_bytes / 2; }

  int64_t Encode(absl::Span<const float> in, uint64_t seed, absl::Span<std::byte> out) const override {
    const int64_t count = static_cast<int64_t>(in.size());
    const int64_t kept = KeptCount(count);
    RM_CHECK(count <= std::numeric_limits<int32_t>::max());
    RM_CHECK(static_cast<int64_t>(out.size()) >= kPairBytes * kept);
    if (count == 0) return 0;
    Threshold threshold = SelectThreshold(in, kept);
    std::byte* to = out.data();
    for (int32_t i = 0; i < count; ++i) {
      const uint32_t magnitude = Magnitude(in[i]);
      if (magnitude < threshold.magnitude) continue;
      if (magnitude == threshold.magnitude && threshold.ties-- <= 0) continue;
      std::memcpy(to, &i, 4);
      std::memcpy(to + 4, &in[i], 4);
      to += kPairBytes;
    }
    RM_CHECK(to - out.data() == kPairBytes * kept);
    return kPairBytes * kept;
  }

  absl::Status Decode(absl::Span<const std::byte> in, absl::Span<float> out) const override {
    std::fill(out.begin(), out.end(), 0.0f);
    return DecodeAdd(in, out);
  }

  absl::Status DecodeAdd(absl::Span<const std::byte> in, absl::Span<float> out) const override {
    const int64_t count = static_cast<int64_t>(out.size());
    const int64_t kept = KeptCount(count);
    if (static_cast<int64_t>(in.size()) != kPairBytes * kept) {
      return absl::InvalidArgumentError(absl::StrCat("codec \"topk\": ", in.size(), " bytes, expected ",
                                                     kPairBytes * kept, " for ", kept, " of ", count,
                                                     " floats (density ", density_, ")"));
    }
    int32_t previous = -1;
    for (int64_t pair = 0; pair < kept; ++pair) {
      int32_t index;
      float value;
      std::memcpy(&index, in.data() + kPairBytes * pair, 4);
      std::memcpy(&value, in.data() + kPairBytes * pair + 4, 4);
      if (index <= previous || index >= count) {
        return absl::InvalidArgumentError(absl::StrCat("codec \"topk\": index ", index, " of pair ", pair,
                                                       ", expected one above ", previous, " and below ", count));
      }
      if (!std::isfinite(value)) {
        return absl::InvalidArgumentError(absl::StrCat("codec \"topk\": value ", index, " of ", count,
                                                       " is not finite"));
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

  const double density_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> CreateTopk(const CodecSpec& spec) {
  // Written so that a NaN is refused.
  if (!spec.has_density() || !(spec.density() > 0 && spec.density() <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("codec.density ",
                                                   spec.has_density() ? absl::StrCat(spec.density()) : "is missing",
                                                   ": codec \"topk\" expects a number above 0 and at most 1"));
  }
  return std::unique_ptr<Codec>(std::make_unique<Topk>(spec.density()));
}

}  // namespace ringmaster
