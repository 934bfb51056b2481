#include "common/codec/fp16.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/fp16_oracle.h"
#include "common/codec/loops/loops.h"
#include "common/codec/scaled_fp16.h"
#include "common/codec/wire_checks.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.summable_as = ElementType::kFloat16;
  traits.device_kind = EncodeKind::kFp16;
  return traits;
}

absl::Status CheckSize(size_t bytes, size_t count) {
  return CheckEncodedBytes("fp16", bytes, 2 * count, count);
}

absl::Status NotFinite(absl::Span<const std::byte> in) {
  return NotFiniteWord("fp16", in, 0x7C00, "halves (65504)");
}

constexpr CodecOption kOptions[] = {
    {RM_CODEC_FIELD(auto_scale),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1,
     "whether each encoding has a scale that keeps it in range",
     {1, 1}},
};

class Fp16 : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return 2 * count; }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    RM_CHECK(out.size() >= 2 * in.size());
    loops_.encode_halves(in.data(), in.size(), {}, out.data());
    return static_cast<int64_t>(2 * in.size());
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size() && out.size() >= 2 * in.size());
    if (!loops_.encode_halves_corrected(in.data(), residual.data(), in.size(), out.data())) {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return static_cast<int64_t>(2 * in.size());
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    return loops_.decode_halves(in.data(), out.size(), {}, out.data()) ? absl::OkStatus()
                                                                       : NotFinite(in);
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    return loops_.add_halves(in.data(), out.size(), {}, out.data()) ? absl::OkStatus()
                                                                    : NotFinite(in);
  }

 private:
  const CodecLoops& loops_ = BestLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateFp16(const CodecSpec& spec) {
  if (codec_fields::Get_auto_scale(spec) == 0)
    return std::unique_ptr<Codec>(std::make_unique<Fp16>());
  // Each encoding has its own scale, and devices have no kernels for it.
  CodecTraits traits = Traits();
  traits.summable_as.reset();
  traits.device_kind.reset();
  return CreateScaledFp16(traits);
}

}  // namespace

constexpr CodecDefinition kFp16Codec = {
    {"fp16", "half precision: 2 bytes an element, may be summed on the wire", Traits(),
     &kFp16Oracle, kOptions},
    CreateFp16};

}  // namespace ringmaster
