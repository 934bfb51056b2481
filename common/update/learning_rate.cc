#include "common/update/learning_rate.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace ringmaster {

absl::StatusOr<LearningRate> LearningRate::Create(const OptimizerSpec& spec) {
  const double base = spec.learning_rate();
  if (!spec.has_learning_rate() || !std::isfinite(base) || base <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.learning_rate ", spec.has_learning_rate() ? absl::StrCat(base) : "is missing",
                     ": expected a finite number above 0"));
  }
  if (!spec.has_step_schedule()) return LearningRate(base, 1.0, 0);
  const StepScheduleSpec& schedule = spec.step_schedule();
  if (schedule.every_samples() <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.step_schedule.every_samples ", schedule.every_samples(),
                     ": expected 1 or more; leave step_schedule out for a constant rate"));
  }
  const double factor = schedule.factor();
  if (!schedule.has_factor() || !std::isfinite(factor) || factor <= 0 || factor > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.step_schedule.factor ", schedule.has_factor() ? absl::StrCat(factor) : "is missing",
                     ": expected a number above 0 and at most 1"));
  }
  return LearningRate(base, factor, schedule.every_samples());
}

float LearningRate::At(int64_t samples_seen) const {
  RM_CHECK(samples_seen >= 0);
  double rate = base_;
  if (every_samples_ > 0) {
    double power = factor_;
    for (int64_t exponent = samples_seen / every_samples_; exponent > 0; exponent >>= 1) {
      if (exponent & 1) rate *= power;
      power *= power;
    }
  }
  return static_cast<float>(rate);
}

}  // namespace ringmaster
