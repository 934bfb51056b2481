#include "common/codec/fp16.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr size_t kBlock = 1024;  // elements; a block stays in the first cache, and lies where halves may lie

absl::Status CheckSize(size_t bytes, size_t count) {
  if (bytes == 2 * count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("codec \"fp16\": ", bytes, " bytes, expected ", 2 * count, " for ", count, " floats"));
}

absl::Status NotFinite(size_t index, size_t count) {
  return absl::InvalidArgumentError(absl::StrCat("codec \"fp16\": value ", index, " of ", count,
                                                 " is not finite: the gradient, or its sum over the workers, left the "
                                                 "range of halves (65504)"));
}

class Fp16 : public Codec {
 public:
  CodecTraits traits() const override { return kFp16Traits; }
  int64_t MaxEncodedBytes(int64_t count) const override { return 2 * count; }
  int64_t IndexBytes(int64_t encoded_bytes) const override { return 0; }

  int64_t Encode(absl::Span<const float> in, uint64_t seed, absl::Span<std::byte> out) const override {
    RM_CHECK(out.size() >= 2 * in.size());
    alignas(32) uint16_t halves[kBlock];
    for (size_t begin = 0; begin < in.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, in.size() - begin);
      ToFloat16Saturating(in.subspan(begin, count), absl::MakeSpan(halves, count));
      std::memcpy(out.data() + 2 * begin, halves, 2 * count);
    }
    return static_cast<int64_t>(2 * in.size());
  }

  absl::Status Decode(absl::Span<const std::byte> in, absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    alignas(32) uint16_t halves[kBlock];
    for (size_t begin = 0; begin < out.size(); begin += kBlock) {
      const absl::Span<float> values = out.subspan(begin, kBlock);
      std::memcpy(halves, in.data() + 2 * begin, 2 * values.size());
      FromFloat16(absl::MakeConstSpan(halves, values.size()), values);
      const size_t culprit = FirstNotFinite(values);
      if (culprit < values.size()) return NotFinite(begin + culprit, out.size());
    }
    return absl::OkStatus();
  }

  absl::Status DecodeAdd(absl::Span<const std::byte> in, absl::Span<float> out) const override {
    RM_RETURN_IF_ERROR(CheckSize(in.size(), out.size()));
    alignas(32) uint16_t halves[kBlock];
    alignas(32) float block[kBlock];
    for (size_t begin = 0; begin < out.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, out.size() - begin);
      std::memcpy(halves, in.data() + 2 * begin, 2 * count);
      const absl::Span<float> values(block, count);
      FromFloat16(absl::MakeConstSpan(halves, count), values);
      const size_t culprit = FirstNotFinite(values);
      if (culprit < count) return NotFinite(begin + culprit, out.size());
      Add(values, out.subspan(begin, count));
    }
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> CreateFp16(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Fp16>());
}

}  // namespace ringmaster
