#include "common/update/learning_rate.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/update/power.h"
#include "proto/optimizer_spec.pb.h"

namespace ringmaster {
namespace {

absl::Status CheckSteps(const StepScheduleSpec& schedule) {
  if (schedule.every_samples() <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.step_schedule.every_samples ", schedule.every_samples(),
                     ": expected 1 or more; leave step_schedule out for a constant rate"));
  }
  const double factor = schedule.factor();
  if (!schedule.has_factor() || !std::isfinite(factor) || factor <= 0 || factor > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.step_schedule.factor ",
                     schedule.has_factor() ? absl::StrCat(factor) : "is missing",
                     ": expected a number above 0 and at most 1"));
  }
  return absl::OkStatus();
}

absl::Status CheckCosine(const CosineScheduleSpec& schedule) {
  if (schedule.total_samples() <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.cosine_schedule.total_samples ", schedule.total_samples(),
                     ": expected 1 or more; leave cosine_schedule out for a constant rate"));
  }
  if (!(schedule.floor() >= 0 && schedule.floor() <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("optimizer.cosine_schedule.floor ",
                                                   schedule.floor(),
                                                   ": expected 0 to 1, a share of the full rate"));
  }
  return absl::OkStatus();
}

// sin(x) for 0 <= x <= pi/4: Taylor's polynomial, whose next term is below 2^-53.
double SmallSine(double x) {
  const double square = x * x;
  double sum = 0;
  for (int n = 15; n >= 3; n -= 2) sum = (1 + sum) * (-square / (n * (n - 1)));
  return x * (1 + sum);
}

// (1 + cos(pi * share)) / 2 for 0 <= share <= 1, which is cos^2(pi/2 * share); exactly 1 and 0 at
// the ends.
double HalfCosine(double share) {
  constexpr double kHalfPi = 1.5707963267948966;
  if (share > 0.5) {
    const double sine = SmallSine(kHalfPi * (1 - share));
    return sine * sine;
  }
  const double sine = SmallSine(kHalfPi * share);
  return 1 - sine * sine;
}

}  // namespace

absl::StatusOr<LearningRate> LearningRate::Create(const OptimizerSpec& spec, int32_t batches) {
  RM_CHECK(batches >= 1);
  const double base = spec.learning_rate();
  if (!spec.has_learning_rate() || !std::isfinite(base) || base <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.learning_rate ", spec.has_learning_rate() ? absl::StrCat(base) : "is missing",
        ": expected a finite number above 0"));
  }
  if (spec.warmup_samples() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.warmup_samples ", spec.warmup_samples(), ": expected 0 or more"));
  }
  if (spec.has_step_schedule() && spec.has_cosine_schedule()) {
    return absl::InvalidArgumentError(
        "optimizer.cosine_schedule: optimizer.step_schedule is set too; give one of them");
  }
  LearningRate rate;
  rate.full_ = spec.scale_with_workers() ? base * batches : base;
  rate.warmup_samples_ = spec.warmup_samples();
  if (spec.has_step_schedule()) {
    RM_RETURN_IF_ERROR(CheckSteps(spec.step_schedule()));
    rate.factor_ = spec.step_schedule().factor();
    rate.every_samples_ = spec.step_schedule().every_samples();
  }
  if (spec.has_cosine_schedule()) {
    RM_RETURN_IF_ERROR(CheckCosine(spec.cosine_schedule()));
    rate.floor_ = spec.cosine_schedule().floor();
    rate.total_samples_ = spec.cosine_schedule().total_samples();
  }
  return rate;
}

float LearningRate::At(int64_t samples_seen) const {
  RM_CHECK(samples_seen >= 0);
  if (samples_seen < warmup_samples_) {
    return static_cast<float>(
        full_ * (static_cast<double>(samples_seen) / static_cast<double>(warmup_samples_)));
  }
  const int64_t since = samples_seen - warmup_samples_;
  if (every_samples_ > 0) return static_cast<float>(full_ * Power(factor_, since / every_samples_));
  if (total_samples_ > 0) {
    const double share = since < total_samples_
                             ? static_cast<double>(since) / static_cast<double>(total_samples_)
                             : 1;
    return static_cast<float>(full_ * (floor_ + (1 - floor_) * HalfCosine(share)));
  }
  return static_cast<float>(full_);
}

}  // namespace ringmaster
