#include "experiments/study/simulate/compute_text.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/textproto.h"

namespace ringmaster {
namespace {

// Names the stream of step times among those of a seed.
constexpr uint64_t kStepStream = 0x73746570;
constexpr char kFileEnding[] = ".textproto";

absl::Status Mistake(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\": ", why,
                   "; expected a time such as \"20ms\", \"measured\", a file of times "
                   "(.textproto), or one of these as the mean in \"lognormal(20ms,0.3)\", before "
                   "the deviation of its logarithm"));
}

}  // namespace

double StepCompute::Stretch(uint64_t seed, int32_t rank, int64_t step) const {
  if (sigma == 0) return 1;
  Random random(MixSeed(MixSeed(MixSeed(seed, kStepStream), rank), step));
  return std::exp(sigma * random.Normal() - sigma * sigma / 2);
}

absl::StatusOr<StepCompute> ParseStepCompute(absl::string_view text) {
  StepCompute compute;
  absl::string_view mean = absl::StripAsciiWhitespace(text);
  if (absl::ConsumePrefix(&mean, "lognormal(")) {
    if (!absl::ConsumeSuffix(&mean, ")")) return Mistake(text, "there is no closing bracket");
    const std::vector<absl::string_view> parts = absl::StrSplit(mean, ',');
    if (parts.size() != 2) return Mistake(text, "lognormal has two arguments");
    mean = absl::StripAsciiWhitespace(parts[0]);
    if (!absl::SimpleAtod(parts[1], &compute.sigma) || !(compute.sigma > 0 && compute.sigma <= 3))
      return Mistake(text, "the deviation is no number above 0 and up to 3");
  }
  if (mean == kMeasuredSource || absl::EndsWith(mean, kFileEnding)) {
    compute.source = std::string(mean);
    return compute;
  }
  if (!absl::ParseDuration(mean, &compute.mean)) return Mistake(text, "this is no time");
  if (compute.mean < absl::ZeroDuration() || compute.mean > absl::Hours(1))
    return Mistake(text, "the time is not between 0 and an hour");
  return compute;
}

absl::StatusOr<std::optional<ComputeTimes>> LoadTimes(const StepCompute& compute) {
  if (compute.source.empty() || compute.source == kMeasuredSource) return std::nullopt;
  ComputeTimes times;
  RM_RETURN_IF_ERROR(LoadTextproto(compute.source, "file of times", &times));
  return times;
}

std::string ToText(const StepCompute& compute) {
  const std::string mean =
      compute.source.empty() ? absl::FormatDuration(compute.mean) : compute.source;
  return compute.sigma == 0 ? mean : absl::StrCat("lognormal(", mean, ",", compute.sigma, ")");
}

}  // namespace ringmaster
