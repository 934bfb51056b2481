#include "common/codec/dgc.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/dgc_memory.h"
#include "common/codec/dgc_oracle.h"
#include "common/codec/topk.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr std::array<double, 4> kRamp = {0.25, 0.0625, 0.015625, 0.004};

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.index_bearing = true;
  traits.feedback_by_default = true;
  traits.memory_floats = 2;
  traits.has_momentum = true;
  return traits;
}

class Dgc : public Codec {
 public:
  // `stages`: the codec of each stage of the ramp, then that of all steps after it.
  Dgc(std::array<std::unique_ptr<Codec>, kRamp.size() + 1> stages, int64_t ramp_steps)
      : stages_(std::move(stages)), ramp_steps_(ramp_steps) {}

  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override {
    const Codec& densest = ramp_steps_ > 0 ? *stages_.front() : *stages_.back();
    return densest.MaxEncodedBytes(count);
  }
  int64_t MaxBytesIn(int64_t step, int64_t count) const override {
    return At({0, step, 0}).MaxEncodedBytes(count);
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
    return OfStep(stream, At(stream).Decode(stream, in, out));
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return OfStep(stream, At(stream).DecodeAdd(stream, in, out));
  }

 private:
  const Codec& At(const SharedStream& stream) const {
    if (stream.step >= ramp_steps_) return *stages_.back();
    const auto stages = static_cast<int64_t>(kRamp.size());
    return *stages_[std::max<int64_t>(0, stream.step) * stages / ramp_steps_];
  }

  static absl::Status OfStep(const SharedStream& stream, const absl::Status& status) {
    if (status.ok()) return status;
    return Annotate(status, absl::StrCat("codec \"dgc\" in step ", stream.step));
  }

  const std::array<std::unique_ptr<Codec>, kRamp.size() + 1> stages_;
  const int64_t ramp_steps_;
};

absl::StatusOr<std::unique_ptr<Codec>> Create(const CodecSpec& spec) {
  std::array<std::unique_ptr<Codec>, kRamp.size() + 1> stages;
  for (size_t stage = 0; stage < stages.size(); ++stage) {
    CodecSpec topk;
    topk.set_density(spec.density());
    if (stage < kRamp.size()) topk.set_density(std::max(spec.density(), kRamp[stage]));
    RM_ASSIGN_OR_RETURN(stages[stage], kTopkCodec.create(topk));
  }
  return std::unique_ptr<Codec>(std::make_unique<Dgc>(std::move(stages), spec.dgc().ramp_steps()));
}

// A field of CodecSpec.dgc.
#define RM_DGC_FIELD(field)                                                                  \
  ("dgc." #field), [](const CodecSpec& spec) { return spec.dgc().has_##field(); },           \
      [](const CodecSpec& spec) { return static_cast<double>(spec.dgc().field()); },         \
      [](double value, CodecSpec* spec) {                                                    \
        spec->mutable_dgc()->set_##field(static_cast<decltype(spec->dgc().field())>(value)); \
      }

constexpr CodecOption kOptions[] = {
    {RM_CODEC_FIELD(density),
     /*default_value=*/0.001,
     /*above=*/0,
     /*most=*/1,
     "the share of elements that is sent",
     {0.03, 0.3}},
    {RM_DGC_FIELD(momentum),
     /*default_value=*/0.9,
     /*above=*/0,
     /*most=*/0.9999,
     "of the velocity that is summed up before the selection",
     {0.5, 0.99}},
    {RM_DGC_FIELD(clip_norm),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1e9,
     "to which the averaged gradient's norm is held, each worker its share; 0: no clipping",
     {1, 0.01}},
    {RM_DGC_FIELD(ramp_steps),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1e9,
     "steps over which the density falls from 25 %; 0: none",
     {1, 100}},
};

}  // namespace

constexpr CodecDefinition kDgcCodec = {
    {"dgc",
     "top-k of momentum-corrected sums (deep gradient compression): 8 bytes for each element kept",
     Traits(), &kDgcOracle, kOptions},
    Create,
    CreateDgcMemory};

}  // namespace ringmaster
