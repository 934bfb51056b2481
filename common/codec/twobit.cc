#include "common/codec/twobit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/twobit_oracle.h"
#include "common/codec/wire_checks.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.feedback_by_default = true;
  return traits;
}

constexpr CodecOption kOptions[] = {{RM_CODEC_FIELD(threshold),
                                     /*default_value=*/0.001,
                                     /*above=*/0,
                                     /*most=*/1e30,
                                     "magnitudes below it are not sent",
                                     {0.5, 2}}};

constexpr size_t kPerByte = 4;

template <typename... Parts>
absl::Status Refusal(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("codec \"twobit\": ", parts...));
}

class Twobit : public Codec {
 public:
  explicit Twobit(float threshold) : threshold_(threshold) {
    const float values[4] = {0.0f, threshold, -threshold, 0.0f};
    for (size_t byte = 0; byte < decoded_.size(); ++byte) {
      for (size_t i = 0; i < kPerByte; ++i) decoded_[byte][i] = values[(byte >> (2 * i)) & 3];
    }
  }

  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return CeilDiv(count, kPerByte); }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return EncodeOf(in.size(), out, [in](size_t i) { return in[i]; }).bytes;
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const float threshold = threshold_;
    const Written written = EncodeOf(in.size(), out, [in, residual, threshold](size_t i) {
      const float value = residual[i] + in[i];
      const float sent = value >= threshold ? threshold : value <= -threshold ? -threshold : 0;
      residual[i] = value - sent;
      return value;
    });
    if (!written.is_finite) std::fill(residual.begin(), residual.end(), 0.0f);
    return written.bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(Check(in, out.size()));
    const size_t whole = out.size() / kPerByte;
    for (size_t byte = 0; byte < whole; ++byte) {
      std::memcpy(out.data() + kPerByte * byte, Values(in[byte]), kPerByte * sizeof(float));
    }
    for (size_t i = kPerByte * whole; i < out.size(); ++i) out[i] = Values(in[whole])[i % kPerByte];
    return absl::OkStatus();
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(Check(in, out.size()));
    const size_t whole = out.size() / kPerByte;
    for (size_t byte = 0; byte < whole; ++byte) {
      const float* const values = Values(in[byte]);
      for (size_t i = 0; i < kPerByte; ++i) out[kPerByte * byte + i] += values[i];
    }
    for (size_t i = kPerByte * whole; i < out.size(); ++i)
      out[i] += Values(in[whole])[i % kPerByte];
    return absl::OkStatus();
  }

 private:
  struct Written {
    int64_t bytes = 0;
    bool is_finite = true;
  };

  // `value(i)`: what element i is encoded from, asked once each, in order.
  template <typename Value>
  Written EncodeOf(size_t count, absl::Span<std::byte> out, Value value) const {
    Written written;
    written.bytes = MaxEncodedBytes(static_cast<int64_t>(count));
    RM_CHECK(static_cast<int64_t>(out.size()) >= written.bytes);
    bool is_finite = true;
    const auto code = [this, &value, &is_finite](size_t i) {
      const float v = value(i);
      const bool good = std::fabs(v) <= std::numeric_limits<float>::max();
      is_finite &= good;
      const unsigned sign = (v >= threshold_ ? 1u : 0u) | (v <= -threshold_ ? 2u : 0u);
      return good ? sign : 3u;
    };
    size_t i = 0;
    for (; i + kPerByte <= count; i += kPerByte) {
      const unsigned a = code(i), b = code(i + 1), c = code(i + 2), d = code(i + 3);
      out[i / kPerByte] = static_cast<std::byte>(a | b << 2 | c << 4 | d << 6);
    }
    unsigned last = 0;
    for (const size_t begin = i; i < count; ++i) last |= code(i) << (2 * (i - begin));
    if (count % kPerByte != 0) out[count / kPerByte] = static_cast<std::byte>(last);
    written.is_finite = is_finite;
    return written;
  }

  const float* Values(std::byte byte) const { return decoded_[static_cast<uint8_t>(byte)].data(); }

  absl::Status Check(absl::Span<const std::byte> in, size_t count) const {
    RM_RETURN_IF_ERROR(CheckEncodedBytes("twobit", in.size(),
                                         MaxEncodedBytes(static_cast<int64_t>(count)), count));
    unsigned bad = 0;
    for (const std::byte byte : in) {
      const auto bits = static_cast<unsigned>(byte);
      bad |= bits & (bits >> 1) & 0x55u;
    }
    if (bad != 0) return Refusal("a value of ", count, " is not finite");
    if (count % kPerByte != 0 && static_cast<unsigned>(in.back()) >> (2 * (count % kPerByte)) != 0)
      return Refusal("the last byte has values beyond the ", count, " floats, expected zeros");
    return absl::OkStatus();
  }

  const float threshold_;
  std::array<std::array<float, kPerByte>, 256> decoded_;  // of every byte
};

absl::StatusOr<std::unique_ptr<Codec>> CreateTwobit(const CodecSpec& spec) {
  const auto threshold = static_cast<float>(codec_fields::Get_threshold(spec));
  if (!std::isfinite(threshold) || threshold == 0) {
    return absl::InvalidArgumentError(absl::StrCat("codec.threshold ",
                                                   codec_fields::Get_threshold(spec),
                                                   ": codec \"twobit\" expects a float above 0"));
  }
  return std::unique_ptr<Codec>(std::make_unique<Twobit>(threshold));
}

}  // namespace

constexpr CodecDefinition kTwobitCodec = {
    {"twobit", "the threshold with the sign, or 0: 2 bits an element", Traits(), &kTwobitOracle,
     kOptions},
    CreateTwobit};

}  // namespace ringmaster
