#include "common/codec/warmup.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/codec/none.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

class Warmup : public Codec {
 public:
  Warmup(std::unique_ptr<Codec> floats, std::unique_ptr<Codec> codec, int64_t steps)
      : floats_(std::move(floats)), codec_(std::move(codec)), steps_(steps) {}

  CodecTraits traits() const override {
    CodecTraits traits = codec_->traits();
    traits.device_kind.reset();
    return traits;
  }
  int64_t MaxEncodedBytes(int64_t count) const override {
    return std::max(floats_->MaxEncodedBytes(count), codec_->MaxEncodedBytes(count));
  }
  int64_t MaxBytesIn(int64_t step, int64_t count) const override {
    return step < steps_ ? floats_->MaxBytesIn(step, count) : codec_->MaxBytesIn(step, count);
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return At(stream).IndexBytes(stream, encoded);
  }
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return At(stream).Encode(stream, in, out);
  }
  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    return At(stream).EncodeCorrected(stream, in, residual, out);
  }
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return At(stream).Decode(stream, in, out);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return At(stream).DecodeAdd(stream, in, out);
  }

 private:
  const Codec& At(const SharedStream& stream) const {
    return stream.step < steps_ ? *floats_ : *codec_;
  }

  const std::unique_ptr<Codec> floats_;
  const std::unique_ptr<Codec> codec_;
  const int64_t steps_;
};

}  // namespace

std::unique_ptr<Codec> CreateWarmup(std::unique_ptr<Codec> codec, int64_t steps) {
  RM_CHECK(steps >= 1 && !codec->traits().summable_as.has_value());
  return std::make_unique<Warmup>(*kNoneCodec.create(CodecSpec()), std::move(codec), steps);
}

}  // namespace ringmaster
