#include "common/codec/none.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/none_oracle.h"
#include "common/codec/wire_checks.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.exact = true;
  traits.unbiased = true;
  traits.summable_as = ElementType::kFloat32;
  return traits;
}

// floats; a block stays in the first cache between its check and its addition
constexpr size_t kBlock = 1024;

absl::Status CheckSize(size_t bytes, size_t count) {
  return CheckEncodedBytes("none", bytes, 4 * count, count);
}

absl::Status NotFinite(size_t index, size_t count) {
  return absl::InvalidArgumentError(
      absl::StrCat("codec \"none\": value ", index, " of ", count, " is not finite"));
}

class None : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return 4 * count; }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    RM_CHECK(out.size() >= 4 * in.size());
    if (!in.empty()) std::memcpy(out.data(), in.data(), 4 * in.size());
    return static_cast<int64_t>(4 * in.size());
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    Add(in, residual);
    const int64_t bytes = Encode(stream, residual, out);
    std::fill(residual.begin(), residual.end(), 0.0f);
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
    const size_t culprit = FirstNotFinite(out);
    return culprit == out.size() ? absl::OkStatus() : NotFinite(culprit, out.size());
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    alignas(32) float block[kBlock];
    for (size_t begin = 0; begin < out.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, out.size() - begin);
      std::memcpy(block, in.data() + 4 * begin, 4 * count);
      const absl::Span<const float> values(block, count);
      const size_t culprit = FirstNotFinite(values);
      if (culprit < count) return NotFinite(begin + culprit, out.size());
      Add(values, out.subspan(begin, count));
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<std::unique_ptr<Codec>> CreateNone(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<None>());
}

}  // namespace

constexpr CodecDefinition kNoneCodec = {
    {kNoCodec, "the floats as they are: 4 bytes an element", Traits(), &kNoneOracle, {}},
    CreateNone};

}  // namespace ringmaster
