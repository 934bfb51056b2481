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
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/error_feedback.h"
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
      Annotate(codec.Decode({seed}, encoded, absl::MakeSpan(out)), "what Encode wrote"));
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
  bytes.resize(feedback.Encode({seed}, 0, in, absl::MakeSpan(bytes)));
  Floats sent(in.size());
  RM_RETURN_IF_ERROR(codec.Decode({seed}, bytes, absl::MakeSpan(sent)));
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

absl::Status CheckCodecRestores(const CodecUnderCheck& codec, uint64_t seed) {
  return OnAllInputs(codec, seed, CheckRestoresOn);
}

double LargestBiasScore(const Codec& codec, uint64_t seed, int64_t draws) {
  constexpr size_t kCount = 64;
  constexpr size_t kDirections = 8;
  Random random(seed);
  Floats x(kCount), out(kCount);
  for (float& value : x) value = random.Normal();
  std::vector<std::vector<double>> directions(kDirections, std::vector<double>(kCount));
  for (size_t d = 0; d < kDirections; ++d) {
    for (size_t i = 0; i < kCount; ++i)
      directions[d][i] = d == 0 ? x[i] : d == 1 ? 1.0 : random.Below(2) ? 1.0 : -1.0;
  }
  std::vector<double> sums(kDirections, 0), squares(kDirections, 0);
  for (int64_t draw = 0; draw < draws; ++draw) {
    const uint64_t draw_seed = random.Next();
    const std::vector<std::byte> encoded = EncodeWith(codec, x, draw_seed);
    if (!codec.Decode({draw_seed}, encoded, absl::MakeSpan(out)).ok())
      return std::numeric_limits<double>::infinity();
    for (size_t d = 0; d < kDirections; ++d) {
      double error = 0;
      for (size_t i = 0; i < kCount; ++i)
        error += directions[d][i] * (static_cast<double>(out[i]) - x[i]);
      sums[d] += error;
      squares[d] += error * error;
    }
  }
  double largest = 0;
  const double n = static_cast<double>(draws);
  for (size_t d = 0; d < kDirections; ++d) {
    if (sums[d] == 0) continue;
    const double mean = sums[d] / n;
    const double variance = std::max(0.0, squares[d] / n - mean * mean);
    largest = std::max(largest, std::fabs(mean) / std::sqrt(variance / n));
  }
  return largest;
}

absl::StatusOr<double> CheckCodecUnbiased(const CodecUnderCheck& codec, uint64_t seed,
                                          int64_t draws) {
  const double score = LargestBiasScore(*codec.make(), seed, draws);
  if (score <= kBiasScoreLimit) return score;
  if (!std::isfinite(score))
    return Broken("codec \"", codec.name, "\" seed ", seed, ": it does not decode what it encodes");
  return Broken("codec \"", codec.name, "\" seed ", seed, ": the mean of ", draws,
                " decodings lies ", score, " standard errors from the input, expected at most ",
                kBiasScoreLimit);
}

absl::StatusOr<CodecFigures> CheckCodec(const CodecUnderCheck& codec, uint64_t seed,
                                        int64_t effort) {
  RM_RETURN_IF_ERROR(CheckCodecBound(codec, seed));
  RM_RETURN_IF_ERROR(CheckCodecRestores(codec, seed));
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
