#include "common/codec/twobit.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/threshold_loops.h"
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

constexpr int64_t kPerByte = 4;

template <typename... Parts>
absl::Status Refusal(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("codec \"twobit\": ", parts...));
}

class Twobit : public Codec {
 public:
  explicit Twobit(float threshold) : threshold_(threshold) {}

  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return CeilDiv(count, kPerByte); }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    loops_.encode_twobits(in.data(), in.size(), threshold_, BytesIn(out, in.size()));
    return MaxEncodedBytes(static_cast<int64_t>(in.size()));
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    if (!loops_.encode_twobits_corrected(in.data(), residual.data(), in.size(), threshold_,
                                         BytesIn(out, in.size()))) {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return MaxEncodedBytes(static_cast<int64_t>(in.size()));
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(Check(in, out.size()));
    loops_.decode_twobits(reinterpret_cast<const uint8_t*>(in.data()), out.size(), threshold_,
                          out.data());
    return absl::OkStatus();
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(Check(in, out.size()));
    loops_.add_twobits(reinterpret_cast<const uint8_t*>(in.data()), out.size(), threshold_,
                       out.data());
    return absl::OkStatus();
  }

 private:
  uint8_t* BytesIn(absl::Span<std::byte> out, size_t count) const {
    RM_CHECK(static_cast<int64_t>(out.size()) >= MaxEncodedBytes(static_cast<int64_t>(count)));
    return reinterpret_cast<uint8_t*>(out.data());
  }

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
  const ThresholdLoops& loops_ = BestThresholdLoops();
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
