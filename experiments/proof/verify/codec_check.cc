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

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

// Errors of sums in double precision, relative to the sum of squares.
constexpr double kSumError = 1e-12;
constexpr double kHalfLargest = 65504;
constexpr double kHalfSmallestNormal = 0x1p-14;

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

double Energy(const Floats& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return sum;
}

double ResidualEnergy(const Floats& in, const Floats& out) {
  double sum = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const double residual = static_cast<double>(in[i]) - out[i];
    sum += residual * residual;
  }
  return sum;
}

absl::Status CheckExact(const Floats& in, const Floats& out) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (std::memcmp(&in[i], &out[i], sizeof(float)) != 0) {
      return Broken("element ", i, " goes in as ", in[i], " and comes out as ", out[i], ", expected every bit");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHalves(const Floats& in, const Floats& out) {
  for (size_t i = 0; i < in.size(); ++i) {
    const double magnitude = std::fabs(in[i]);
    const double error = std::fabs(static_cast<double>(in[i]) - out[i]);
    double bound = magnitude >= kHalfSmallestNormal ? 0x1p-11 * magnitude : 0x1p-25;
    if (magnitude > kHalfLargest) bound = magnitude - kHalfLargest;
    if (error <= bound) continue;
    return Broken("element ", i, " goes in as ", in[i], " and comes out as ", out[i], ", more than ", bound, " away");
  }
  return absl::OkStatus();
}

absl::Status CheckLargestKept(const Floats& in, const Floats& out, size_t encoded_bytes) {
  const size_t kept = encoded_bytes / 8;
  std::vector<size_t> order(in.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(in[a]) > std::fabs(in[b]); });
  for (size_t place = 0; place < order.size(); ++place) {
    const size_t i = order[place];
    const float expected = place < kept ? in[i] : 0.0f;
    if (out[i] == expected) continue;
    return Broken("element ", i, " = ", in[i], ", number ", place, " by magnitude and index, comes out as ", out[i],
                  " with ", kept, " kept");
  }
  const double bound = in.empty() ? 0 : (1 - static_cast<double>(kept) / static_cast<double>(in.size())) * Energy(in);
  const double residual = ResidualEnergy(in, out);
  if (residual <= bound + kSumError * Energy(in)) return absl::OkStatus();
  return Broken("|x - C(x)|^2 = ", residual, ", more than (1 - k/d)|x|^2 = ", bound);
}

absl::Status CheckSigns(const Floats& in, const Floats& out) {
  double l1 = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    l1 += std::fabs(static_cast<double>(in[i]));
    if (std::signbit(in[i]) == std::signbit(out[i])) continue;
    return Broken("element ", i, " goes in as ", in[i], " and comes out as ", out[i], ", of the other sign");
  }
  if (in.empty()) return absl::OkStatus();
  const double count = static_cast<double>(in.size());
  const double expected = Energy(in) - l1 * l1 / count;
  const double residual = ResidualEnergy(in, out);
  // The scale is rounded to float, by 2^-24 of it or the half of a denormal's place; the energy is at its least there,
  // so the rounding enters squared.
  const double bound = kSumError * Energy(in) + count * 0x1p-298;
  if (std::fabs(residual - expected) <= bound) return absl::OkStatus();
  return Broken("the residual has energy ", residual, ", expected |x|^2 - l1^2/d = ", expected);
}

absl::Status CheckBoundOn(const std::string& name, const Codec& codec, const Floats& in, uint64_t seed) {
  const std::vector<std::byte> encoded = EncodeWith(codec, in, seed);
  Floats out(in.size(), std::numeric_limits<float>::quiet_NaN());
  RM_RETURN_IF_ERROR(Annotate(codec.Decode(encoded, absl::MakeSpan(out)), "what Encode wrote"));
  if (codec.traits().exact) return CheckExact(in, out);
  if (name == "fp16") return CheckHalves(in, out);
  if (name == "topk") return CheckLargestKept(in, out, encoded.size());
  if (name == "onebit") return CheckSigns(in, out);
  if (codec.traits().unbiased) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("codec \"", name, "\" has no bound stated in codec_check.cc"));
}

// Whether `name` gives back x to the bit with what it left out.
bool RestoresBits(const std::string& name, const Codec& codec, float x) {
  return codec.traits().exact || name == "topk" || (name == "fp16" && std::fabs(x) <= kHalfLargest);
}

absl::Status CheckRestoresOn(const std::string& name, const Codec& codec, const Floats& in, uint64_t seed) {
  ErrorFeedback feedback(codec, static_cast<int64_t>(in.size()), true);
  std::vector<std::byte> bytes(codec.MaxEncodedBytes(static_cast<int64_t>(in.size())));
  bytes.resize(feedback.Encode(0, in, seed, absl::MakeSpan(bytes)));
  Floats sent(in.size());
  RM_RETURN_IF_ERROR(codec.Decode(bytes, absl::MakeSpan(sent)));
  for (size_t i = 0; i < in.size(); ++i) {
    const float left = feedback.residual().empty() ? 0.0f : feedback.residual()[i];
    const double error = std::fabs(static_cast<double>(sent[i] + left) - in[i]);
    // x - sent and sent + left round once each.
    const double bound = 0x1p-23 * (std::fabs(static_cast<double>(in[i])) + std::fabs(static_cast<double>(sent[i])));
    if (error <= (RestoresBits(name, codec, in[i]) ? 0 : bound)) continue;
    return Broken("element ", i, " = ", in[i], ": ", sent[i], " is sent and ", left, " is kept");
  }
  return absl::OkStatus();
}

template <typename CheckOn>
absl::Status OnAllInputs(const CodecUnderCheck& codec, uint64_t seed, CheckOn check) {
  const std::unique_ptr<Codec> made = codec.make();
  for (const CodecInput& input : CodecInputs(seed)) {
    RM_RETURN_IF_ERROR(Annotate(check(codec.name, *made, input.values, seed),
                                absl::StrCat("codec \"", codec.name, "\" seed ", seed, " on ", input.name)));
  }
  return absl::OkStatus();
}

}  // namespace

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
    for (size_t i = 0; i < kCount; ++i) directions[d][i] = d == 0 ? x[i] : d == 1 ? 1.0 : random.Below(2) ? 1.0 : -1.0;
  }
  std::vector<double> sums(kDirections, 0), squares(kDirections, 0);
  for (int64_t draw = 0; draw < draws; ++draw) {
    const std::vector<std::byte> encoded = EncodeWith(codec, x, random.Next());
    if (!codec.Decode(encoded, absl::MakeSpan(out)).ok()) return std::numeric_limits<double>::infinity();
    for (size_t d = 0; d < kDirections; ++d) {
      double error = 0;
      for (size_t i = 0; i < kCount; ++i) error += directions[d][i] * (static_cast<double>(out[i]) - x[i]);
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

absl::Status CheckCodecUnbiased(const CodecUnderCheck& codec, uint64_t seed, int64_t draws) {
  const double score = LargestBiasScore(*codec.make(), seed, draws);
  if (score <= kBiasScoreLimit) return absl::OkStatus();
  if (!std::isfinite(score)) return Broken("codec \"", codec.name, "\" seed ", seed, ": it does not decode what it encodes");
  return Broken("codec \"", codec.name, "\" seed ", seed, ": the mean of ", draws, " decodings lies ", score,
                " standard errors from the input, expected at most ", kBiasScoreLimit);
}

absl::StatusOr<CodecFigures> CheckCodec(const CodecUnderCheck& codec, uint64_t seed, int64_t effort) {
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
    const int64_t draws = 20 * effort;
    RM_RETURN_IF_ERROR(CheckCodecUnbiased(codec, seed, draws));
    figures.bias_score = LargestBiasScore(*codec.make(), seed, draws);
  }
  return figures;
}

absl::StatusOr<std::string> CheckCodecs(uint64_t seed, int64_t effort) {
  CodecFigures total;
  std::string names;
  for (const CodecInfo& info : Codecs()) {
    const std::vector<double> densities =
        info.traits.index_bearing ? std::vector<double>{0.01, 0.3, 1} : std::vector<double>{0.1};
    for (const double density : densities) {
      CodecSpec spec;
      spec.set_name(info.name);
      spec.set_density(density);
      RM_RETURN_IF_ERROR(CreateCodec(spec).status());
      const CodecUnderCheck codec{info.name, [spec] { return *CreateCodec(spec); }};
      RM_ASSIGN_OR_RETURN(const CodecFigures figures, CheckCodec(codec, seed, effort));
      total.inputs += figures.inputs;
      total.mutated_payloads += figures.mutated_payloads;
      total.refused += figures.refused;
      total.bias_score = std::max(total.bias_score, figures.bias_score);
    }
    absl::StrAppend(&names, names.empty() ? "" : ", ", info.name);
  }
  return absl::StrFormat("%s: %d inputs, %d of %d mutated payloads refused, bias at most %.1f standard errors, seed %d",
                         names, total.inputs, total.refused, total.mutated_payloads, total.bias_score, seed);
}

}  // namespace ringmaster
