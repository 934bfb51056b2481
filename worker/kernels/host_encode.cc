#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "worker/kernels/host_ops.h"

namespace ringmaster::host {
namespace {

CodecSpec SpecOf(const EncodeCall& call) {
  CodecSpec spec;
  switch (call.kind) {
    case EncodeKind::kFp16:
      spec.set_name("fp16");
      break;
    case EncodeKind::kOnebit:
      spec.set_name("onebit");
      break;
    case EncodeKind::kTopk:
      spec.set_name("topk");
      spec.set_density(static_cast<double>(call.kept) / static_cast<double>(call.count));
      break;
  }
  return spec;
}

}  // namespace

// The encoding of `gradient` into `out`, with one step of error feedback when there is a residual.
absl::Status Compute(const EncodeCall& call) {
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(SpecOf(call)));
  const absl::Span<const float> gradient(call.gradient, call.count);
  const absl::Span<std::byte> out(call.out, codec->MaxEncodedBytes(call.count));
  if (call.residual == nullptr) {
    codec->Encode(gradient, 0, out);
  } else {
    codec->EncodeCorrected(gradient, 0, absl::MakeSpan(call.residual, call.count), out);
  }
  return absl::OkStatus();
}

}  // namespace ringmaster::host
