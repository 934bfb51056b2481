#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "proto/codec_spec.pb.h"
#include "worker/kernels/host_ops.h"

namespace ringmaster::host {
namespace {

CodecSpec SpecOf(const EncodeCall& call) {
  CodecSpec spec;
  for (const CodecInfo& codec : Codecs()) {
    if (codec.traits.device_kind == call.kind) spec.set_name(codec.name);
  }
  if (call.kept > 0)
    spec.set_density(static_cast<double>(call.kept) / static_cast<double>(call.count));
  if (HasLevels(call.kind)) spec.set_block(static_cast<int32_t>(call.block));
  SetCodecDefaults(&spec);
  return spec;
}

}  // namespace

// The encoding of `gradient` into `out`, with one step of error feedback when there is a residual.
absl::Status Compute(const EncodeCall& call) {
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(SpecOf(call)));
  const absl::Span<const float> gradient(call.gradient, call.count);
  const absl::Span<std::byte> out(call.out, codec->MaxEncodedBytes(call.count));
  if (call.residual == nullptr) {
    codec->Encode({}, gradient, out);
  } else {
    codec->EncodeCorrected({}, gradient, absl::MakeSpan(call.residual, call.count), out);
  }
  return absl::OkStatus();
}

}  // namespace ringmaster::host
