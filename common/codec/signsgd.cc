#include "common/codec/signsgd.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/loops.h"
#include "common/codec/signsgd_oracle.h"
#include "common/codec/wire_checks.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.majority_vote = true;
  return traits;
}

int64_t EncodedBytes(int64_t count) { return count / 8 + 1; }

absl::Status CheckEncoding(absl::Span<const std::byte> in, int64_t count) {
  RM_RETURN_IF_ERROR(CheckEncodedBytes("signsgd", in.size(), EncodedBytes(count), count));
  const int beyond = std::to_integer<int>(in.back()) >> (count % 8);
  if (beyond == 0) return absl::OkStatus();
  if (beyond == 1)
    return absl::InvalidArgumentError(
        absl::StrCat("codec \"signsgd\": one of ", count, " values is not finite"));
  return absl::InvalidArgumentError(
      absl::StrCat("codec \"signsgd\": the last byte has bits beyond the ", count,
                   " signs and the next, expected zeros"));
}

class Signsgd : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return EncodedBytes(count); }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    uint8_t* const bits = BitsIn(out, in.size());
    return Finish(loops_.pack_signs(in.data(), in.size(), bits), in.size(), bits);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    uint8_t* const bits = BitsIn(out, in.size());
    const double sum = loops_.pack_signs_corrected(in.data(), residual.data(), in.size(), bits);
    if (std::isfinite(sum)) {
      loops_.add_signs(bits, -1.0f, in.size(), residual.data());
    } else {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return Finish(sum, in.size(), bits);
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckEncoding(in, static_cast<int64_t>(out.size())));
    loops_.unpack_signs(reinterpret_cast<const uint8_t*>(in.data()), 1.0f, out.size(), out.data());
    return absl::OkStatus();
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckEncoding(in, static_cast<int64_t>(out.size())));
    loops_.add_signs(reinterpret_cast<const uint8_t*>(in.data()), 1.0f, out.size(), out.data());
    return absl::OkStatus();
  }

 private:
  // With the byte that has bit `count` cleared.
  static uint8_t* BitsIn(absl::Span<std::byte> out, size_t count) {
    RM_CHECK(static_cast<int64_t>(out.size()) >= EncodedBytes(static_cast<int64_t>(count)));
    out[count / 8] = std::byte{0};
    return reinterpret_cast<uint8_t*>(out.data());
  }

  // Sets the bit of a gradient whose magnitudes' sum is not finite. Returns the size of the whole.
  static int64_t Finish(double sum, size_t count, uint8_t* bits) {
    if (!std::isfinite(sum)) bits[count / 8] |= static_cast<uint8_t>(1u << (count % 8));
    return EncodedBytes(static_cast<int64_t>(count));
  }

  const CodecLoops& loops_ = BestLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateSignsgd(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Signsgd>());
}

}  // namespace

constexpr CodecDefinition kSignsgdCodec = {
    {"signsgd",
     "signs without a scale, of which the majority counts: 1 bit an element",
     Traits(),
     &kSignsgdOracle,
     {}},
    CreateSignsgd};

}  // namespace ringmaster
