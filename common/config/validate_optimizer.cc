#include "common/config/validate_optimizer.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "common/update/update_rule.h"

namespace ringmaster {
namespace {

constexpr int64_t kMaxSamples = int64_t{1} << 60;

bool HasMomentum(const OptimizerSpec& optimizer) {
  return optimizer.name() == "momentum" || optimizer.name() == "nesterov";
}

bool IsAdam(const OptimizerSpec& optimizer) {
  return optimizer.name() == "adam" || optimizer.name() == "adamw";
}

// A factor that one kind of optimizer needs and the others do not have.
void CheckFactor(const std::string& field, bool has, float value, bool applies,
                 const OptimizerSpec& optimizer, absl::string_view owners, Problems* problems) {
  if (!applies && has) {
    problems->Add(
        field, value,
        absl::StrCat("\"", optimizer.name(), "\" has none; ", owners, ", or leave it out"));
  }
  if (applies && !(value >= 0 && value < 1))
    problems->Add(field, value, "expected 0 or more and below 1");
}

void CheckFactors(const OptimizerSpec& optimizer, Problems* problems) {
  constexpr char kMomentum[] = "set optimizer.name=momentum";
  constexpr char kAdam[] = "only \"adam\" and \"adamw\" do";
  const bool adam = IsAdam(optimizer);
  CheckFactor("optimizer.momentum", optimizer.has_momentum(), optimizer.momentum(),
              HasMomentum(optimizer), optimizer, kMomentum, problems);
  CheckFactor("optimizer.beta1", optimizer.has_beta1(), optimizer.beta1(), adam, optimizer, kAdam,
              problems);
  CheckFactor("optimizer.beta2", optimizer.has_beta2(), optimizer.beta2(), adam, optimizer, kAdam,
              problems);
  if (!adam && optimizer.has_epsilon()) {
    problems->Add(
        "optimizer.epsilon", optimizer.epsilon(),
        absl::StrCat("\"", optimizer.name(), "\" has none; ", kAdam, ", or leave it out"));
  }
  if (adam && !(optimizer.epsilon() > 0 && std::isfinite(optimizer.epsilon()))) {
    problems->Add("optimizer.epsilon", optimizer.epsilon(),
                  "expected a number above 0, for example 1e-8");
  }
  if (!(optimizer.weight_decay() >= 0 && std::isfinite(optimizer.weight_decay()))) {
    problems->Add("optimizer.weight_decay", optimizer.weight_decay(),
                  "expected 0 or more, for example 0.0001");
  }
}

void CheckSchedules(const OptimizerSpec& optimizer, Problems* problems) {
  problems->Range<int64_t>("optimizer.warmup_samples", optimizer.warmup_samples(), 0, kMaxSamples);
  if (optimizer.has_step_schedule() && optimizer.has_cosine_schedule()) {
    problems->Add("optimizer.cosine_schedule", "{...}",
                  "optimizer.step_schedule is set too; give one of them");
  }
  if (optimizer.has_step_schedule()) {
    const StepScheduleSpec& schedule = optimizer.step_schedule();
    problems->Range<int64_t>("optimizer.step_schedule.every_samples", schedule.every_samples(), 1,
                             kMaxSamples);
    if (!(schedule.factor() > 0 && schedule.factor() <= 1)) {
      problems->Add("optimizer.step_schedule.factor", schedule.factor(),
                    "expected above 0 and at most 1, for example 0.1");
    }
  }
  if (optimizer.has_cosine_schedule()) {
    const CosineScheduleSpec& schedule = optimizer.cosine_schedule();
    problems->Range<int64_t>(
        "optimizer.cosine_schedule.total_samples", schedule.total_samples(), 1, kMaxSamples,
        "by default it is what training has left after optimizer.warmup_samples");
    problems->Range<double>("optimizer.cosine_schedule.floor", schedule.floor(), 0, 1);
  }
}

void CheckClipping(const RunSpec& spec, Problems* problems) {
  const OptimizerSpec& optimizer = spec.optimizer();
  if (!optimizer.has_clip_norm()) return;
  if (!(optimizer.clip_norm() > 0 && std::isfinite(optimizer.clip_norm()))) {
    problems->Add("optimizer.clip_norm", optimizer.clip_norm(),
                  "expected a number above 0, for example 1; leave it out to clip nothing");
  }
  if (TraitsOf(spec).updates == Updates::kOnArrival) {
    problems->Add(
        "optimizer.clip_norm", optimizer.clip_norm(),
        "the norm is that of the gradient averaged over all workers, and an update on arrival "
        "(SSP, ASYNCHRONOUS) sees one worker's; use consistency BSP or all_reduce, or leave it "
        "out");
  } else if (TraitsOf(spec).servers > 1) {
    problems->Add(
        "optimizer.clip_norm", optimizer.clip_norm(),
        absl::StrCat(
            "the norm is that of the whole gradient, and each of ", TraitsOf(spec).servers,
            " servers sees its part; use strategy.parameter_server.servers=1 or all_reduce, or "
            "leave it out"));
  } else if (TraitsOf(spec).updated != nullptr && TraitsOf(spec).servers == 0) {
    problems->Add(
        "optimizer.clip_norm", optimizer.clip_norm(),
        "the norm is that of the whole gradient, and each worker has the sum of the share "
        "alone that it updates; use all_reduce, or leave it out");
  }
}

}  // namespace

void CheckOptimizer(const RunSpec& spec, Problems* problems) {
  const OptimizerSpec& optimizer = spec.optimizer();
  std::vector<std::string> names;
  for (const OptimizerInfo& info : Optimizers()) names.push_back(info.name);
  problems->Known("optimizer.name", "optimizer", optimizer.name(), names);
  if (!(optimizer.learning_rate() > 0 && std::isfinite(optimizer.learning_rate()))) {
    problems->Add("optimizer.learning_rate", optimizer.learning_rate(),
                  "expected a number above 0, for example 0.05");
  }
  CheckFactors(optimizer, problems);
  if ((HasMomentum(optimizer) || IsAdam(optimizer)) &&
      TraitsOf(spec).updates == Updates::kOnArrival && TraitsOf(spec).local_steps == 0 &&
      !optimizer.allow_momentum_on_arrival()) {
    problems->AddName(
        "optimizer.name", optimizer.name(),
        absl::StrCat("with updates on arrival (SSP, ASYNCHRONOUS), N updates with ",
                     IsAdam(optimizer) ? "running moments" : "momentum",
                     " are not one update of the mean, so the arms would differ in more than their "
                     "exchange; use \"sgd\", or say optimizer.allow_momentum_on_arrival=true"));
  }
  CheckSchedules(optimizer, problems);
  CheckClipping(spec, problems);
}

}  // namespace ringmaster
