#include "common/codec/onebit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/loops.h"
#include "common/codec/onebit_oracle.h"
#include "common/codec/wire_checks.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.feedback_by_default = true;
  traits.device_kind = EncodeKind::kOnebit;
  return traits;
}

constexpr int64_t kScaleBytes = 4;

int64_t EncodedBytes(int64_t count) { return kScaleBytes + CeilDiv(count, 8); }

// A payload taken apart and found good.
struct Payload {
  float scale = 0;
  absl::Span<const uint8_t> signs;
};

absl::StatusOr<Payload> Parse(absl::Span<const std::byte> in, int64_t count) {
  RM_RETURN_IF_ERROR(CheckEncodedBytes("onebit", in.size(), EncodedBytes(count), count));
  Payload payload;
  std::memcpy(&payload.scale, in.data(), kScaleBytes);
  if (!std::isfinite(payload.scale) || std::signbit(payload.scale)) {
    return absl::InvalidArgumentError(absl::StrCat("codec \"onebit\": scale ", payload.scale,
                                                   ", expected a finite number of at least 0"));
  }
  payload.signs = absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(in.data()) + kScaleBytes,
                                      in.size() - kScaleBytes);
  RM_RETURN_IF_ERROR(CheckNoSignsBeyond("onebit", in, count));
  return payload;
}

class Onebit : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return EncodedBytes(count); }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return WriteScale(loops_.pack_signs(in.data(), in.size(), SignsIn(out, in.size())), in.size(),
                      out);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    uint8_t* const signs = SignsIn(out, in.size());
    const double sum = loops_.pack_signs_corrected(in.data(), residual.data(), in.size(), signs);
    const int64_t bytes = WriteScale(sum, in.size(), out);
    // The scale is known at the end alone, so what it leaves out takes a second pass.
    const float scale = ScaleOf(sum, in.size());
    if (std::isfinite(scale)) {
      loops_.add_signs(signs, -scale, in.size(), residual.data());
    } else {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_ASSIGN_OR_RETURN(const Payload payload, Parse(in, static_cast<int64_t>(out.size())));
    loops_.unpack_signs(payload.signs.data(), payload.scale, out.size(), out.data());
    return absl::OkStatus();
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_ASSIGN_OR_RETURN(const Payload payload, Parse(in, static_cast<int64_t>(out.size())));
    loops_.add_signs(payload.signs.data(), payload.scale, out.size(), out.data());
    return absl::OkStatus();
  }

 private:
  static uint8_t* SignsIn(absl::Span<std::byte> out, size_t count) {
    RM_CHECK(static_cast<int64_t>(out.size()) >= EncodedBytes(static_cast<int64_t>(count)));
    return reinterpret_cast<uint8_t*>(out.data()) + kScaleBytes;
  }

  static float ScaleOf(double sum, size_t count) {
    return count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
  }

  // Returns the size of the whole.
  static int64_t WriteScale(double sum, size_t count, absl::Span<std::byte> out) {
    const float scale = ScaleOf(sum, count);
    std::memcpy(out.data(), &scale, kScaleBytes);
    return EncodedBytes(static_cast<int64_t>(count));
  }

  const CodecLoops& loops_ = BestLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateOnebit(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Onebit>());
}

}  // namespace

constexpr CodecDefinition kOnebitCodec = {
    {"onebit", "signs and the mean magnitude: 1 bit an element", Traits(), &kOnebitOracle, {}},
    CreateOnebit};

}  // namespace ringmaster
