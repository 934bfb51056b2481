#include "worker/loop/gradient_encoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// What EncodeCall asks of addresses.
constexpr int64_t kAlignment = 8;

}  // namespace

GradientOffer OfferGradients(const RunSpec& resolved, const ParamLayout& layout, Place place) {
  const TrainingSpec& training = resolved.training();
  const SchemeTraits traits = TraitsOf(resolved);
  const bool unchanged = place == Place::kDevice && traits.workers == training.workers() &&
                         training.accumulate() == 1 && !training.deterministic() &&
                         layout.statistics().empty();
  const std::optional<CodecTraits> codec = CodecTraitsOf(resolved.codec());
  // The device's memory is error feedback that forgets nothing.
  const bool decays =
      resolved.codec().has_feedback_decay() && resolved.codec().feedback_decay() != 1;
  const bool is_known = codec.has_value() && codec->device_kind.has_value() && !decays;
  // Of steps that a worker makes alone it needs the gradients itself, and what it sends later is
  // none. Whoever writes sums to a file needs them on the host.
  return {unchanged && is_known && traits.local_steps == 0,
          unchanged && resolved.output().dump_gradients().empty()};
}

absl::StatusOr<std::unique_ptr<GradientEncoder>> GradientEncoder::Create(
    KernelLibrary& kernels, const ParamLayout& layout, const CodecSpec& spec,
    const std::vector<std::vector<Range>>& slices) {
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodec(spec));
  const std::optional<EncodeKind> kind = codec->traits().device_kind;
  RM_CHECK(kind.has_value());
  std::unique_ptr<GradientEncoder> encoder(
      new GradientEncoder(kernels, layout, *kind, spec.block(), std::move(codec)));
  RM_RETURN_IF_ERROR(encoder->Prepare(slices));
  if (!spec.error_feedback()) return encoder;
  RM_ASSIGN_OR_RETURN(encoder->residual_,
                      kernels.Allocate(layout.count() * static_cast<int64_t>(sizeof(float))));
  RM_RETURN_IF_ERROR(kernels.Run(FillZeroCall{encoder->residual_.floats(), layout.count()}));
  return encoder;
}

absl::Status GradientEncoder::Prepare(const std::vector<std::vector<Range>>& slices) {
  RM_CHECK(slices.size() == layout_.buckets().size());
  int64_t bytes = 0, scratch_bytes = 0;
  for (const std::vector<Range>& of_bucket : slices) {
    std::vector<Slice>& places = slices_.emplace_back();
    for (const Range& range : of_bucket) {
      const int64_t size_bytes = range.count == 0 ? 0 : codec_->MaxEncodedBytes(range.count);
      places.push_back({range, bytes, size_bytes});
      bytes += CeilDiv(size_bytes, kAlignment) * kAlignment;
      if (range.count > 0)
        scratch_bytes = std::max(scratch_bytes, kernels_.encode_scratch_bytes(kind_, range.count));
    }
  }
  RM_ASSIGN_OR_RETURN(scratch_, kernels_.Allocate(scratch_bytes));
  RM_ASSIGN_OR_RETURN(encoded_, kernels_.Allocate(bytes));
  for (int slot = 0; slot < 2; ++slot) {
    RM_ASSIGN_OR_RETURN(host_[slot], kernels_.AllocateStaging(bytes));
    for (const std::vector<Slice>& of_bucket : slices_) {
      std::vector<absl::Span<std::byte>>& spans = encoded_slices_[slot].emplace_back();
      for (const Slice& slice : of_bucket) {
        spans.emplace_back(host_[slot].data() + slice.begin_bytes,
                           static_cast<size_t>(slice.size_bytes));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<State> GradientEncoder::Give() const {
  State state;
  if (residual_.size_bytes() == 0) return state;
  std::vector<float> residual(layout_.count());
  RM_RETURN_IF_ERROR(
      kernels_.CopyToHost(residual_.data(), residual.data(), residual_.size_bytes()));
  RM_RETURN_IF_ERROR(kernels_.Finish());
  state.AddFloats("residual", residual);
  return state;
}

absl::Status GradientEncoder::Take(const State& state) {
  if (residual_.size_bytes() == 0) return state.CopyTo({});
  std::vector<float> residual(layout_.count());
  RM_RETURN_IF_ERROR(state.CopyTo({{"residual", absl::MakeSpan(residual)}}));
  RM_RETURN_IF_ERROR(
      kernels_.CopyFromHost(residual.data(), residual_.data(), residual_.size_bytes()));
  return kernels_.Finish();
}

absl::StatusOr<SideCopy> GradientEncoder::Encode(const float* gradients, const Bucket& bucket,
                                                 int slot) {
  const std::vector<Slice>& slices = slices_[bucket.id];
  for (const Slice& slice : slices) {
    if (slice.range.count == 0) continue;
    EncodeCall call;
    call.kind = kind_;
    call.count = slice.range.count;
    call.kept = codec_->IndexBytes({}, {slice.range.count, slice.size_bytes}) / 4;
    if (HasLevels(kind_)) call.block = block_;
    call.gradient = gradients + slice.range.begin;
    call.residual = residual_.size_bytes() == 0 ? nullptr : residual_.floats() + slice.range.begin;
    call.out = encoded_.data() + slice.begin_bytes;
    call.scratch = scratch_.data();
    RM_RETURN_IF_ERROR(kernels_.Run(call));
  }
  SideCopy copy;
  const int64_t begin_bytes = slices.front().begin_bytes;
  copy.from = encoded_.data() + begin_bytes;
  copy.to = host_[slot].data() + begin_bytes;
  copy.size_bytes = slices.back().begin_bytes + slices.back().size_bytes - begin_bytes;
  return copy;
}

}  // namespace ringmaster
