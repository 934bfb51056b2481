#include "experiments/proof/verify/codec_bias_check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr size_t kCount = 64;
constexpr size_t kDirections = 8;

using Direction = std::vector<double>;

// x itself, all ones, and random signs.
std::vector<Direction> DirectionsOf(const std::vector<float>& x, Random* random) {
  std::vector<Direction> directions(kDirections, Direction(x.size()));
  for (size_t d = 0; d < kDirections; ++d) {
    for (size_t i = 0; i < x.size(); ++i)
      directions[d][i] = d == 0 ? x[i] : d == 1 ? 1.0 : random->Below(2) ? 1.0 : -1.0;
  }
  return directions;
}

struct Moments {
  double sum = 0, squares = 0;

  void Add(double value) {
    sum += value;
    squares += value * value;
  }
  double Mean(double n) const { return sum / n; }
  double Variance(double n) const { return std::max(0.0, squares / n - Mean(n) * Mean(n)); }
  double StandardError(double n) const { return std::sqrt(Variance(n) / n); }
};

double BoundOf(const CodecUnderCheck& codec, absl::Span<const float> x) {
  const CodecInfo* const info = FindCodec(codec.name);
  if (info == nullptr || info->oracle == nullptr || info->oracle->variance_bound == nullptr)
    return 0;
  return info->oracle->variance_bound(*codec.spec, x);
}

}  // namespace

absl::StatusOr<BiasFigures> MeasureBias(const CodecUnderCheck& codec, uint64_t seed,
                                        int64_t draws) {
  const std::unique_ptr<Codec> made = codec.make();
  Random random(seed);
  std::vector<float> x(kCount), out(kCount);
  for (float& value : x) value = random.Normal();
  const std::vector<Direction> directions = DirectionsOf(x, &random);
  std::vector<Moments> along(kDirections);
  Moments energies;
  for (int64_t draw = 0; draw < draws; ++draw) {
    const uint64_t draw_seed = random.Next();
    const std::vector<std::byte> encoded = EncodeWith(*made, x, draw_seed);
    RM_RETURN_IF_ERROR(made->Decode(CheckStream(draw_seed), encoded, absl::MakeSpan(out)));
    std::vector<double> errors(kCount);
    double energy = 0;
    for (size_t i = 0; i < kCount; ++i) {
      errors[i] = static_cast<double>(out[i]) - x[i];
      energy += errors[i] * errors[i];
    }
    energies.Add(energy);
    for (size_t d = 0; d < kDirections; ++d) {
      double error = 0;
      for (size_t i = 0; i < kCount; ++i) error += directions[d][i] * errors[i];
      along[d].Add(error);
    }
  }
  const auto n = static_cast<double>(draws);
  BiasFigures figures;
  for (size_t d = 0; d < kDirections; ++d) {
    if (along[d].sum == 0) continue;
    figures.score =
        std::max(figures.score, std::fabs(along[d].Mean(n)) / along[d].StandardError(n));
    if (d > 0) figures.together = std::max(figures.together, along[d].squares / energies.sum);
  }
  const double bound = BoundOf(codec, x);
  if (bound > 0) figures.of_bound = (energies.Mean(n) - 5 * energies.StandardError(n)) / bound;
  return figures;
}

absl::StatusOr<double> CheckCodecUnbiased(const CodecUnderCheck& codec, uint64_t seed,
                                          int64_t draws) {
  RM_ASSIGN_OR_RETURN(const BiasFigures figures, MeasureBias(codec, seed, draws));
  const auto broken = [&](auto... parts) {
    return absl::FailedPreconditionError(absl::StrCat("codec \"", codec.name, "\" seed ", seed,
                                                      ": of ", draws, " decodings ", parts...));
  };
  if (!std::isfinite(figures.score))
    return broken("all are the same, and not the input: nothing is drawn");
  if (figures.score > kBiasScoreLimit) {
    return broken("the mean lies ", figures.score,
                  " standard errors from the input, expected at "
                  "most ",
                  kBiasScoreLimit);
  }
  if (figures.together > kTogetherLimit) {
    return broken("the errors' sum varies ", figures.together,
                  " times as much as its elements together, expected about 1: they are not drawn "
                  "independently");
  }
  // The bound may be met with equality; what is computed rounds.
  if (figures.of_bound > 1 + 1e-6)
    return broken("|C(x) - x|^2 is ", figures.of_bound, " times the bound of its mean");
  return figures.score;
}

}  // namespace ringmaster
