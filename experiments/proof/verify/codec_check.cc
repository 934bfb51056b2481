#include "experiments/proof/verify/codec_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/codec/error_feedback.h"
#include "experiments/proof/verify/codec_bias_check.h"
#include "experiments/proof/verify/codec_bytes_check.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

absl::Status CheckBoundOn(const CodecUnderCheck& of, const Codec& codec, const Floats& in,
                          uint64_t seed) {
  const std::vector<std::byte> encoded = EncodeWith(codec, in, seed);
  Floats out(in.size(), std::numeric_limits<float>::quiet_NaN());
  RM_RETURN_IF_ERROR(
      Annotate(codec.Decode(CheckStream(seed), encoded, absl::MakeSpan(out)), "what Encode wrote"));
  const CodecInfo* const info = FindCodec(codec.traits().exact ? kNoCodec : of.name);
  if (info != nullptr)
    return info->oracle->check_bound(*of.spec, in, out, static_cast<int64_t>(encoded.size()));
  if (codec.traits().unbiased) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("codec \"", of.name, "\" has no bound stated by an oracle"));
}

// Whether `of` gives back x to the bit with what it left out.
bool RestoresBits(const CodecUnderCheck& of, const Codec& codec, float x) {
  const CodecInfo* const info = FindCodec(codec.traits().exact ? kNoCodec : of.name);
  return info != nullptr && info->oracle->restores_bits(*of.spec, x);
}

absl::Status CheckRestoresOn(const CodecUnderCheck& of, const Codec& codec, const Floats& in,
                             uint64_t seed) {
  ErrorFeedback feedback(codec, static_cast<int64_t>(in.size()));
  std::vector<std::byte> bytes(codec.MaxEncodedBytes(static_cast<int64_t>(in.size())));
  bytes.resize(feedback.Encode(CheckStream(seed), 0, in, absl::MakeSpan(bytes)));
  Floats sent(in.size());
  RM_RETURN_IF_ERROR(codec.Decode(CheckStream(seed), bytes, absl::MakeSpan(sent)));
  for (size_t i = 0; i < in.size(); ++i) {
    const float left = feedback.residual()[i];
    const double error = std::fabs(static_cast<double>(sent[i] + left) - in[i]);
    // x - sent and sent + left round once each.
    const double bound =
        0x1p-23 * (std::fabs(static_cast<double>(in[i])) + std::fabs(static_cast<double>(sent[i])));
    if (error <= (RestoresBits(of, codec, in[i]) ? 0 : bound)) continue;
    return Broken("element ", i, " = ", in[i], ": ", sent[i], " is sent and ", left, " is kept");
  }
  return absl::OkStatus();
}

// One step of error feedback whose memory is `in` backwards, against the four steps that it is.
absl::Status CheckCorrectedOn(const CodecUnderCheck& of, const Codec& codec, const Floats& in,
                              uint64_t seed) {
  Floats residual(in.rbegin(), in.rend());
  Floats corrected = residual, decoded(in.size()), expected(in.size(), 0.0f);
  for (size_t i = 0; i < in.size(); ++i) corrected[i] += in[i];
  const std::vector<std::byte> encoded = EncodeWith(codec, corrected, seed);
  if (codec.Decode(CheckStream(seed), encoded, absl::MakeSpan(decoded)).ok()) {
    for (size_t i = 0; i < in.size(); ++i) expected[i] = corrected[i] - decoded[i];
  }
  std::vector<std::byte> bytes(codec.MaxEncodedBytes(static_cast<int64_t>(in.size())));
  bytes.resize(codec.EncodeCorrected(CheckStream(seed), in, absl::MakeSpan(residual),
                                     absl::MakeSpan(bytes)));
  if (bytes != encoded) return Broken("EncodeCorrected writes other bytes than Encode of the sum");
  for (size_t i = 0; i < in.size(); ++i) {
    if (std::memcmp(&residual[i], &expected[i], sizeof(float)) == 0) continue;
    return Broken("EncodeCorrected keeps ", residual[i], " of element ", i, ", expected ",
                  expected[i]);
  }
  return absl::OkStatus();
}

// Exactly what the definition makes of inputs without zeros.
absl::Status CheckDefinitionOn(const CodecUnderCheck& of, const Codec& codec, const Floats& in,
                               uint64_t seed) {
  const CodecInfo* const info = FindCodec(of.name);
  // A sum of magnitudes near the smallest or the largest floats is rounded otherwise.
  const auto is_ordinary = [](float x) { return std::fabs(x) > 1e-30f && std::fabs(x) < 1e30f; };
  if (info == nullptr || in.empty() || !std::all_of(in.begin(), in.end(), is_ordinary))
    return absl::OkStatus();
  const std::vector<std::byte> encoded = EncodeWith(codec, in, seed);
  Floats out(in.size());
  RM_RETURN_IF_ERROR(codec.Decode(CheckStream(seed), encoded, absl::MakeSpan(out)));
  const int64_t index_bytes = codec.IndexBytes(
      CheckStream(seed), {static_cast<int64_t>(in.size()), static_cast<int64_t>(encoded.size())});
  return info->oracle->check_definition(*of.spec, in, out, index_bytes / 4);
}

template <typename CheckOn>
absl::Status OnAllInputs(const CodecUnderCheck& codec, uint64_t seed, CheckOn check) {
  const std::unique_ptr<Codec> made = codec.make();
  for (const CodecInput& input : CodecInputs(seed)) {
    RM_RETURN_IF_ERROR(
        Annotate(check(codec, *made, input.values, seed),
                 absl::StrCat("codec \"", codec.name, "\" seed ", seed, " on ", input.name)));
  }
  return absl::OkStatus();
}

}  // namespace

CodecUnderCheck CodecOf(const CodecSpec& spec) {
  return {spec.name(), [spec] { return *CreateCodec(spec); }, std::make_shared<CodecSpec>(spec)};
}

absl::Status CheckCodecBound(const CodecUnderCheck& codec, uint64_t seed) {
  return OnAllInputs(codec, seed, CheckBoundOn);
}

absl::Status CheckCodecDefinition(const CodecUnderCheck& codec, uint64_t seed) {
  return OnAllInputs(codec, seed, CheckDefinitionOn);
}

absl::Status CheckCodecRestores(const CodecUnderCheck& codec, uint64_t seed) {
  RM_RETURN_IF_ERROR(OnAllInputs(codec, seed, CheckRestoresOn));
  return OnAllInputs(codec, seed, CheckCorrectedOn);
}

absl::StatusOr<CodecFigures> CheckCodec(const CodecUnderCheck& codec, uint64_t seed,
                                        int64_t effort) {
  RM_RETURN_IF_ERROR(CheckCodecBound(codec, seed));
  RM_RETURN_IF_ERROR(CheckCodecDefinition(codec, seed));
  RM_RETURN_IF_ERROR(CheckCodecRestores(codec, seed));
  RM_RETURN_IF_ERROR(CheckCodecSizes(codec));
  RM_RETURN_IF_ERROR(CheckSumsOnTheWire(codec, seed));
  RM_RETURN_IF_ERROR(CheckReplicasAgree(codec, seed));
  RM_RETURN_IF_ERROR(CheckOtherLengthsRefused(codec));
  RM_RETURN_IF_ERROR(CheckNotFiniteRefused(codec));
  CodecFigures figures;
  figures.inputs = static_cast<int64_t>(CodecInputs(seed).size());
  figures.mutated_payloads = effort;
  RM_ASSIGN_OR_RETURN(figures.refused, CheckMutatedBytes(codec, seed, effort));
  if (codec.make()->traits().unbiased) {
    RM_ASSIGN_OR_RETURN(figures.bias_score, CheckCodecUnbiased(codec, seed, 5 * effort));
  }
  return figures;
}

absl::StatusOr<std::string> CheckCodecs(uint64_t seed, int64_t effort) {
  CodecFigures total;
  std::string names;
  for (const CodecInfo& info : Codecs()) {
    for (const CodecSpec& spec : ProofSettings(info)) {
      RM_RETURN_IF_ERROR(CreateCodec(spec).status());
      RM_ASSIGN_OR_RETURN(const CodecFigures figures, CheckCodec(CodecOf(spec), seed, effort));
      total.inputs += figures.inputs;
      total.mutated_payloads += figures.mutated_payloads;
      total.refused += figures.refused;
      total.bias_score = std::max(total.bias_score, figures.bias_score);
    }
    absl::StrAppend(&names, names.empty() ? "" : ", ", info.name);
  }
  return absl::StrFormat(
      "%s: %d inputs, %d of %d mutated payloads refused, bias at most %.1f standard errors, seed "
      "%d",
      names, total.inputs, total.refused, total.mutated_payloads, total.bias_score, seed);
}

}  // namespace ringmaster
