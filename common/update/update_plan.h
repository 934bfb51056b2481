#ifndef RINGMASTER_COMMON_UPDATE_UPDATE_PLAN_H_
#define RINGMASTER_COMMON_UPDATE_UPDATE_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/update/element_update.h"
#include "common/update/learning_rate.h"

namespace ringmaster {

class OptimizerSpec;

// One update of a slice of weights.
struct UpdateStep {
  int64_t begin = 0;  // first element of the slice; finds the optimizer's state
  int64_t samples_seen =
      0;               // by all workers together before this update: the learning rate follows it
  int64_t update = 0;  // updates of this slice before this one, for Adam's bias correction
  float clip = 1;      // UpdatePlan::ClipFactor of the whole gradient
  // How much of the mean over all workers the gradient is: 1, or 1/N where every worker's share of
  // it is an update of its own. Weight decay and statistics go by it, so that N such updates decay
  // as much as one.
  float share = 1;
  // For a rule that compensates delays (delay_compensation.h): the weights that the gradient was
  // computed from, of the slice's size. Others do not look.
  absl::Span<const float> read = {};
};

// What a rule updates.
struct UpdateScope {
  int64_t count = 0;    // elements
  int32_t batches = 1;  // N * A, of a global batch: for optimizer.scale_with_workers
  // the elements that are running statistics: in ascending order, not overlapping
  std::vector<Range> statistics;
  // Of the elements, those that the rule updates and keeps state of: in ascending order, not
  // overlapping, none empty. Absent: all.
  std::optional<std::vector<Range>> updated;
};

// Which numbers an optimizer updates which elements by: its arithmetic without the weights and its
// state, which lie with whoever makes the updates, on the host or on a device. Pure, thread-safe.
class UpdatePlan {
 public:
  // Of the resolved `spec`. InvalidArgument names the field that is missing, unknown or out of
  // range.
  static absl::StatusOr<UpdatePlan> Create(const OptimizerSpec& spec, UpdateScope scope);

  // Elements that are updated alike, and the place of the first one's state in each of arrays().
  struct Run {
    Range elements;
    int64_t state_begin = 0;
    ElementUpdate update;
  };
  // Calls run(Run) for each of the `count` elements that start at step.begin, in ascending order.
  // REQUIRES: they lie within one range of UpdateScope::updated.
  void ForEachRun(const UpdateStep& step, int64_t count,
                  absl::FunctionRef<void(const Run&)> run) const;

  // The arrays of state, by name, at first 0: "velocity" of momentum and nesterov; "first" and
  // "second", the moments, of adam and adamw; none of sgd. Each has states() elements, one for each
  // that is updated.
  absl::Span<const std::string> arrays() const { return arrays_; }
  int64_t states() const { return states_; }

  // UpdateRule's.
  bool clips() const { return clip_norm_ > 0; }
  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const;
  float ClipFactor(double sum_of_squares) const;

  const UpdateScope& scope() const { return scope_; }

 private:
  UpdatePlan(LearningRate rate, const OptimizerSpec& spec, UpdateScope scope);

  ElementUpdate StatisticUpdate(const UpdateStep& step) const;
  ElementUpdate TrainedUpdate(const UpdateStep& step) const;
  void CheckSlice(int64_t begin, int64_t count) const;
  // How far the slice's elements lie from their places in the arrays of state.
  int64_t ShiftOf(int64_t begin, int64_t count) const;
  // Cuts the slice where statistics begin and end: calls part(range, is_statistic) for each piece,
  // in order.
  void ForEachPart(int64_t begin, int64_t count,
                   absl::FunctionRef<void(const Range& range, bool is_statistic)> part) const;

  LearningRate rate_;
  UpdateKind kind_ = UpdateKind::kSgd;
  float decay_ = 0;       // what is added to the gradient
  double clip_norm_ = 0;  // 0: none
  float momentum_ = 0;
  double beta1_ = 0, beta2_ = 0;
  float epsilon_ = 0;
  double decoupled_decay_ = 0;  // taken off the weights
  UpdateScope scope_;
  std::vector<Range> updated_;
  std::vector<int64_t> states_before_;  // those of the ranges before, by range of updated_
  int64_t states_ = 0;
  std::vector<std::string> arrays_;
};

struct OptimizerInfo {
  const char* name;
  const char* summary;
};
absl::Span<const OptimizerInfo> Optimizers();

// Arrays of all elements that an optimizer keeps. Errors as UpdatePlan::Create. Pure.
absl::StatusOr<int64_t> OptimizerArrays(const OptimizerSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_UPDATE_PLAN_H_
