#ifndef RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
#define RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/state/state.h"

namespace ringmaster {

class OptimizerSpec;

// One update of a slice of weights.
struct UpdateStep {
  int64_t begin = 0;  // first element of the slice; finds the optimizer's state
  int64_t samples_seen =
      0;               // by all workers together before this update: the learning rate follows it
  int64_t update = 0;  // updates of this slice before this one, for Adam's bias correction
  float clip = 1;      // UpdateRule::ClipFactor of the whole gradient
  // How much of the mean over all workers the gradient is: 1, or 1/N where every worker's share of
  // it is an update of its own. Weight decay and statistics go by it, so that N such updates decay
  // as much as one.
  float share = 1;
  // For a rule that compensates delays (delay_compensation.h): the weights that the gradient was
  // computed from, of the slice's size. Others do not look.
  absl::Span<const float> read = {};
};

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

// Arrays of all elements that the rule of `spec` keeps. Errors as CreateUpdateRule. Pure.
absl::StatusOr<int64_t> OptimizerArrays(const OptimizerSpec& spec);

struct OptimizerInfo {
  const char* name;
  const char* summary;
};
absl::Span<const OptimizerInfo> Optimizers();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_UPDATE_RULE_H_
