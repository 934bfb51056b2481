#include "experiments/study/sweep/range.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ringmaster {
namespace {

constexpr size_t kRangeMax = 1000;

}  // namespace

absl::StatusOr<std::vector<std::string>> RangeValues(const NumberRange& range) {
  const auto wrong = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("range from ", range.from, " to ", range.to, ": ", what));
  };
  if (range.step.has_value() == range.factor.has_value())
    return wrong("expected exactly one of step and factor");
  if (!std::isfinite(range.from) || !std::isfinite(range.to) || range.to < range.from) {
    return wrong("expected finite numbers that rise");
  }
  if (range.step.has_value() && !(*range.step > 0 && std::isfinite(*range.step)))
    return wrong("step: expected a number above 0");
  if (range.factor.has_value() &&
      !(*range.factor > 1 && range.from > 0 && std::isfinite(*range.factor))) {
    return wrong("factor: expected a number above 1, and a first value above 0");
  }
  // What rounding takes from the last value is not to lose it.
  const double last = range.to * (1 + 1e-9);
  std::vector<std::string> values;
  double value = range.from;
  for (int64_t i = 1; value <= last; ++i) {
    if (values.size() == kRangeMax) return wrong(absl::StrCat("more than ", kRangeMax, " values"));
    values.push_back(std::abs(value - std::round(value)) < 1e-9 * std::abs(value) || value == 0
                         ? absl::StrFormat("%.0f", value)
                         : absl::StrFormat("%.10g", value));
    value = range.step.has_value() ? range.from + static_cast<double>(i) * *range.step
                                   : range.from * std::pow(*range.factor, static_cast<double>(i));
  }
  return values;
}

}  // namespace ringmaster
