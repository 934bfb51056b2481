#ifndef RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
#define RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// One update of a slice of weights.
struct UpdateStep {
  int64_t begin = 0;          // first element of the slice; finds the optimizer's state
  int64_t samples_seen = 0;   // by all workers together before this update: the learning rate follows it
};

// The rule that turns a gradient into new weights; one implementation, run by whoever holds the weights (a worker or a
// shard). Owns the state of its `count` elements (momentum). One thread at a time.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  // weights[i] -= rate * f(gradient[i]). Both are the slice that starts at step.begin of the `count` elements, of one
  // size, and do not overlap; the gradient is unchanged. Slices may be of any size and come in any order: cutting the
  // weights differently gives the same bits.
  virtual void Apply(const UpdateStep& step, absl::Span<const float> gradient, absl::Span<float> weights) = 0;
};

// The rule that the resolved `spec` names, for `count` elements: "sgd" (weights -= rate * gradient) or "momentum"
// (velocity = momentum * velocity + gradient; weights -= rate * velocity). InvalidArgument names the field that is
// missing, unknown or out of range.
absl::StatusOr<std::unique_ptr<UpdateRule>> CreateUpdateRule(const OptimizerSpec& spec, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
