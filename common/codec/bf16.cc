#include "common/codec/bf16.h"

#include <algorithm>
#include <memory>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/bf16_oracle.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/wire_checks.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// elements that stay in the first cache between the passes over them
constexpr size_t kTile = 4096;

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.summable_as = ElementType::kBfloat16;
  traits.device_kind = EncodeKind::kBf16;
  return traits;
}

absl::Status CheckSize(size_t bytes, size_t count) {
  return CheckEncodedBytes("bf16", bytes, 2 * count, count);
}

absl::Status NotFinite(absl::Span<const std::byte> in) {
  return NotFiniteWord("bf16", in, 0x7F80, "floats");
}

class Bf16 : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return 2 * count; }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    RM_CHECK(out.size() >= 2 * in.size());
    loops_.encode_bfloats(in.data(), in.size(), out.data());
    return static_cast<int64_t>(2 * in.size());
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size() && out.size() >= 2 * in.size());
    bool is_finite = true;
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      const absl::Span<float> left = residual.subspan(begin, kTile);
      std::byte* const to = out.data() + 2 * begin;
      Add(in.subspan(begin, kTile), left);
      loops_.encode_bfloats(left.data(), left.size(), to);
      is_finite = loops_.subtract_bfloats(to, left.size(), left.data()) && is_finite;
    }
    if (!is_finite) std::fill(residual.begin(), residual.end(), 0.0f);
    return static_cast<int64_t>(2 * in.size());
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    return loops_.decode_bfloats(in.data(), out.size(), out.data()) ? absl::OkStatus()
                                                                    : NotFinite(in);
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    return loops_.add_bfloats(in.data(), out.size(), out.data()) ? absl::OkStatus() : NotFinite(in);
  }

 private:
  const LevelLoops& loops_ = BestLevelLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateBf16(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Bf16>());
}

}  // namespace

constexpr CodecDefinition kBf16Codec = {
    {"bf16",
     "bfloat16: 2 bytes an element with a float's range, may be summed on the wire",
     Traits(),
     &kBf16Oracle,
     {}},
    CreateBf16};

}  // namespace ringmaster
