#ifndef RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
#define RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/state/state.h"
#include "common/update/update_plan.h"

namespace ringmaster {

class OptimizerSpec;

// The rule that turns a gradient into new weights; one implementation, run by whoever holds the
// weights (a worker or a shard). Owns the state of its elements (momentum, Adam's moments). One
// thread at a time.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  // New weights from a gradient. Both are the slice that starts at step.begin of the rule's
  // elements, of one size, and do not overlap; the gradient is unchanged. Slices may be of any size
  // and come in any order: cutting the weights differently gives the same bits. Running statistics
  // among them become
  //   (1 - 0.1 * share) * value + 0.1 * gradient
  // (0.9 and 0.1 where the gradient is the whole mean), without rate, momentum, decay or clipping.
  // Allocates nothing. REQUIRES: the slice lies within one range of UpdateScope::updated.
  virtual void Apply(const UpdateStep& step, absl::Span<const float> gradient,
                     absl::Span<float> weights) = 0;

  // Whether gradients are clipped by their global norm: then an update needs the sum over all
  // slices first.
  virtual bool clips() const = 0;

  // The sum of squares of the trained elements of a slice's gradient, in double precision. The norm
  // that everyone agrees on to the bit adds these up by buckets, in order. RM_CHECKs that the slice
  // lies within the rule's elements.
  virtual double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const = 0;

  // min(1, clip_norm / (sqrt(sum_of_squares) + 1e-6)) for the sum over all slices, rounded once; 1
  // without clipping. Source: PyTorch torch.nn.utils.clip_grad_norm_.
  virtual float ClipFactor(double sum_of_squares) const = 0;

  // The optimizer's arrays, of all elements that the rule updates: "velocity" of momentum and
  // nesterov; "first" and "second", the moments, of adam and adamw; none of sgd. Taken by another
  // rule of the same spec and scope, it goes on with the same bits; how many samples and updates
  // there were, UpdateStep says.
  virtual State Give() const = 0;
  // Bytes of that state. Where it is large, no copy is made to count it.
  virtual int64_t state_bytes() const { return Give().bytes(); }
  // InvalidArgument: the state is another optimizer's, or of another size; the rule is then
  // unchanged.
  virtual absl::Status Take(const State& state) = 0;
};

// The rule that the resolved `spec` names, with g = clip * gradient [+ weight_decay * weights]:
//   "sgd"       weights -= rate * g
//   "momentum"  velocity = momentum * velocity + g; weights -= rate * velocity
//   "nesterov"  the same velocity, but weights -= rate * (g + momentum * velocity)
//   "adam"      m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2;
//               weights -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon),
//               where t = update + 1
//   "adamw"     weights *= 1 - rate * weight_decay; then as "adam" without the decay in g
// Every operation on an element rounds once to float, in this order; factors that are the same for
// all elements are computed in double precision and rounded once. Source: PyTorch torch.optim.SGD,
// Adam and AdamW. InvalidArgument names the field that is missing, unknown or out of range.
absl::StatusOr<std::unique_ptr<UpdateRule>> CreateUpdateRule(const OptimizerSpec& spec,
                                                             UpdateScope scope);
// The same, already planned.
std::unique_ptr<UpdateRule> CreateUpdateRule(UpdatePlan plan);

// The rule of servers that are pushed how far a worker has come, and not a gradient:
//   weights += gradient
// for every element, running statistics among them, whatever the rate; one rounding. `count`:
// elements. A scheme asks for it; no spec names it.
std::unique_ptr<UpdateRule> CreateAddRule(int64_t count);

// The rule of servers that hold a center and are pushed a worker's weights, and not a gradient:
//   weights += share * (gradient - weights)
// for every element, running statistics among them, whatever the rate; three roundings. `count`:
// elements. A scheme asks for it; no spec names it. Source: Zhang, Choromanska, LeCun 2015, "Deep
// learning with elastic averaging SGD", algorithm 1, line b.
std::unique_ptr<UpdateRule> CreateAttractRule(int64_t count, float share);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
