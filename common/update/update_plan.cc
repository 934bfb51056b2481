#include "common/update/update_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/update/power.h"
#include "common/vecmath/vecmath.h"
#include "proto/optimizer_spec.pb.h"

namespace ringmaster {
namespace {

// What a value of one batch counts for in a running statistic. Source: PyTorch
// torch.nn.BatchNorm2d.
constexpr double kStatisticShare = 0.1;

absl::Status CheckFactor(const char* field, bool has, float value, const char* others) {
  if (has && value >= 0 && value < 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer.", field, " ", has ? absl::StrCat(value) : "is missing",
                   ": expected a number of at least 0 and below 1", others));
}

absl::Status CheckCommon(const OptimizerSpec& spec) {
  if (!(spec.weight_decay() >= 0 && std::isfinite(spec.weight_decay()))) {
    return absl::InvalidArgumentError(absl::StrCat("optimizer.weight_decay ", spec.weight_decay(),
                                                   ": expected a finite number of at least 0"));
  }
  if (spec.has_clip_norm() && !(spec.clip_norm() > 0 && std::isfinite(spec.clip_norm()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.clip_norm ", spec.clip_norm(),
                     ": expected a finite number above 0; leave it out to clip nothing"));
  }
  return absl::OkStatus();
}

absl::Status CheckAdam(const OptimizerSpec& spec) {
  RM_RETURN_IF_ERROR(CheckFactor("beta1", spec.has_beta1(), spec.beta1(), ""));
  RM_RETURN_IF_ERROR(CheckFactor("beta2", spec.has_beta2(), spec.beta2(), ""));
  if (!spec.has_epsilon() || !(spec.epsilon() > 0 && std::isfinite(spec.epsilon()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.epsilon ", spec.has_epsilon() ? absl::StrCat(spec.epsilon()) : "is missing",
        ": expected a finite number above 0, for example 1e-8"));
  }
  return absl::OkStatus();
}

constexpr OptimizerInfo kOptimizers[] = {
    {"sgd", "plain gradient descent"},
    {"momentum", "gradient descent with momentum, as torch.optim.SGD"},
    {"nesterov", "momentum with Nesterov's look ahead, as torch.optim.SGD"},
    {"adam", "Adam, weight decay in the gradient, as torch.optim.Adam"},
    {"adamw", "Adam with decoupled weight decay, as torch.optim.AdamW"},
};

bool IsKnown(const std::string& name) {
  return std::any_of(std::begin(kOptimizers), std::end(kOptimizers),
                     [&](const OptimizerInfo& info) { return name == info.name; });
}

// RM_CHECKs that they ascend, do not overlap and lie below `count`.
void CheckRanges(absl::Span<const Range> ranges, int64_t count) {
  int64_t end = 0;
  for (const Range& range : ranges) {
    RM_CHECK(range.begin >= end && range.count > 0);
    end = range.end();
  }
  RM_CHECK(end <= count);
}

void CheckScope(const UpdateScope& scope) {
  RM_CHECK(scope.count >= 0);
  CheckRanges(scope.statistics, scope.count);
  if (scope.updated.has_value()) CheckRanges(*scope.updated, scope.count);
}

UpdateKind KindOf(absl::string_view name) {
  if (name == "sgd") return UpdateKind::kSgd;
  if (name == "momentum") return UpdateKind::kMomentum;
  if (name == "nesterov") return UpdateKind::kNesterov;
  return UpdateKind::kAdam;
}

}  // namespace

absl::StatusOr<UpdatePlan> UpdatePlan::Create(const OptimizerSpec& spec, UpdateScope scope) {
  CheckScope(scope);
  const std::string& name = spec.name();
  if (!IsKnown(name)) {
    const auto quote = [](std::string* out, const OptimizerInfo& info) {
      absl::StrAppend(out, "\"", info.name, "\"");
    };
    return absl::InvalidArgumentError(absl::StrCat("optimizer.name \"", name,
                                                   "\" is unknown: expected one of ",
                                                   absl::StrJoin(kOptimizers, ", ", quote)));
  }
  RM_ASSIGN_OR_RETURN(const LearningRate rate, LearningRate::Create(spec, scope.batches));
  RM_RETURN_IF_ERROR(CheckCommon(spec));
  switch (StateArraysOf(KindOf(name))) {
    case 1:
      RM_RETURN_IF_ERROR(CheckFactor("momentum", spec.has_momentum(), spec.momentum(),
                                     "; name \"sgd\" needs none"));
      break;
    case 2:
      RM_RETURN_IF_ERROR(CheckAdam(spec));
      break;
  }
  return UpdatePlan(rate, spec, std::move(scope));
}

UpdatePlan::UpdatePlan(LearningRate rate, const OptimizerSpec& spec, UpdateScope scope)
    : rate_(rate),
      kind_(KindOf(spec.name())),
      clip_norm_(spec.clip_norm()),
      momentum_(spec.momentum()),
      beta1_(spec.beta1()),
      beta2_(spec.beta2()),
      epsilon_(spec.epsilon()),
      scope_(std::move(scope)),
      updated_(scope_.updated.value_or(std::vector<Range>{{0, scope_.count}})) {
  if (spec.name() == "adamw") {
    decoupled_decay_ = spec.weight_decay();
  } else {
    decay_ = spec.weight_decay();
  }
  switch (StateArraysOf(kind_)) {
    case 1:
      arrays_ = {"velocity"};
      break;
    case 2:
      arrays_ = {"first", "second"};
      break;
  }
  for (const Range& range : updated_) {
    states_before_.push_back(states_);
    states_ += range.count;
  }
}

void UpdatePlan::ForEachRun(const UpdateStep& step, int64_t count,
                            absl::FunctionRef<void(const Run&)> run) const {
  CheckSlice(step.begin, count);
  if (count == 0) return;
  const int64_t shift = ShiftOf(step.begin, count);
  const ElementUpdate trained = TrainedUpdate(step), statistic = StatisticUpdate(step);
  ForEachPart(step.begin, count, [&](const Range& range, bool is_statistic) {
    run({range, range.begin - shift, is_statistic ? statistic : trained});
  });
}

ElementUpdate UpdatePlan::StatisticUpdate(const UpdateStep& step) const {
  ElementUpdate update;
  update.kind = UpdateKind::kStatistic;
  update.keep = static_cast<float>(1 - kStatisticShare * step.share);
  update.share = static_cast<float>(kStatisticShare);
  return update;
}

ElementUpdate UpdatePlan::TrainedUpdate(const UpdateStep& step) const {
  ElementUpdate update;
  update.kind = kind_;
  update.clip = step.clip;
  update.decay = decay_ * step.share;
  update.rate = rate_.At(step.samples_seen);
  update.momentum = momentum_;
  if (kind_ != UpdateKind::kAdam) return update;
  update.keep = static_cast<float>(1 - update.rate * (decoupled_decay_ * step.share));
  AdamFactors& adam = update.adam;
  adam.first_keep = static_cast<float>(beta1_);
  adam.first_share = static_cast<float>(1 - beta1_);
  adam.second_keep = static_cast<float>(beta2_);
  adam.second_share = static_cast<float>(1 - beta2_);
  adam.root_factor = static_cast<float>(1 / std::sqrt(1 - Power(beta2_, step.update + 1)));
  adam.epsilon = epsilon_;
  adam.step = static_cast<float>(update.rate / (1 - Power(beta1_, step.update + 1)));
  return update;
}

double UpdatePlan::SumOfSquares(int64_t begin, absl::Span<const float> gradient) const {
  CheckSlice(begin, static_cast<int64_t>(gradient.size()));
  double sum = 0;
  ForEachPart(
      begin, static_cast<int64_t>(gradient.size()), [&](const Range& range, bool is_statistic) {
        if (!is_statistic)
          sum += ringmaster::SumOfSquares(gradient.subspan(range.begin - begin, range.count));
      });
  return sum;
}

float UpdatePlan::ClipFactor(double sum_of_squares) const {
  if (!clips()) return 1;
  const double factor = clip_norm_ / (std::sqrt(sum_of_squares) + 1e-6);
  return factor < 1 ? static_cast<float>(factor) : 1;
}

void UpdatePlan::CheckSlice(int64_t begin, int64_t count) const {
  RM_CHECK(begin >= 0 && begin + count <= scope_.count);
}

int64_t UpdatePlan::ShiftOf(int64_t begin, int64_t count) const {
  const auto after =
      std::upper_bound(updated_.begin(), updated_.end(), begin,
                       [](int64_t element, const Range& range) { return element < range.begin; });
  RM_CHECK(after != updated_.begin());
  const auto place = after - updated_.begin() - 1;
  RM_CHECK(begin + count <= updated_[place].end());
  return updated_[place].begin - states_before_[place];
}

void UpdatePlan::ForEachPart(
    int64_t begin, int64_t count,
    absl::FunctionRef<void(const Range& range, bool is_statistic)> part) const {
  const int64_t end = begin + count;
  auto next =
      std::upper_bound(scope_.statistics.begin(), scope_.statistics.end(), begin,
                       [](int64_t element, const Range& range) { return element < range.end(); });
  while (begin < end) {
    const bool is_statistic = next != scope_.statistics.end() && next->begin <= begin;
    int64_t until = end;
    if (next != scope_.statistics.end())
      until = std::min(end, is_statistic ? next->end() : next->begin);
    if (until > begin) part(Range{begin, until - begin}, is_statistic);
    begin = until;
    if (is_statistic) ++next;
  }
}

absl::Span<const OptimizerInfo> Optimizers() { return kOptimizers; }

absl::StatusOr<int64_t> OptimizerArrays(const OptimizerSpec& spec) {
  UpdateScope none;
  RM_ASSIGN_OR_RETURN(const UpdatePlan plan, UpdatePlan::Create(spec, none));
  return static_cast<int64_t>(plan.arrays().size());
}

}  // namespace ringmaster
