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
  // weights[i] -= rate * f(gradient[i]); both of one size, begin + size <= count.
  virtual void Apply(const UpdateStep& step, absl::Span<const float> gradient, absl::Span<float> weights) = 0;
};

// The rule that the resolved `spec` names, for `count` elements. InvalidArgument for an unknown name.
absl::StatusOr<std::unique_ptr<UpdateRule>> CreateUpdateRule(const OptimizerSpec& spec, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
