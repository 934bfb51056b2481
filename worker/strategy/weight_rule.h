#ifndef RINGMASTER_WORKER_STRATEGY_WEIGHT_RULE_H_
#define RINGMASTER_WORKER_STRATEGY_WEIGHT_RULE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "common/state/state.h"
#include "worker/strategy/bucket_gradient.h"
#include "worker/strategy/replica.h"

namespace ringmaster {

class RunSpec;

// Whose rule it is. All but `weights` outlives the rule.
struct WeightRuleSeat {
  const RunSpec* spec = nullptr;  // resolved
  const ParamLayout* layout = nullptr;
  int32_t rank = 0;
  absl::Span<const float> weights;  // [layout.count()], those that all workers begin with
};

// What one worker makes of exchanged weights: a scheme's arithmetic, and what it keeps for it. No
// messages, threads or clock: WeightStrategy moves the floats between real workers, and a
// simulation between its own, both at the moments that ExchangedIn says, so both have the same
// bits. Arenas have [layout.count()] floats. One thread.
class WeightRule {
 public:
  virtual ~WeightRule() = default;

  // The next step begins.
  virtual void StepBegins() {}

  // Updates the replica by the step's gradients, by bucket: the worker's own, or of a synchronous
  // step the sums of all workers', which become averages. Comes after TakeSum of weights that are
  // sent ahead, and before that of others. Replica::Apply's errors.
  absl::Status Update(int64_t step, absl::Span<const BucketGradient> gradients, Replica* replica);

  // `*sum`: of the weights of all whom an exchange joins, as they were when it began. Brings the
  // replica's weights to what the scheme makes of them. Afterwards `*sum` may hold anything.
  virtual void TakeSum(std::vector<float>* sum, Replica* replica) = 0;

  // `*average`: of all workers' weights, made by a drain (SchemeTraits::marks_are_averages).
  // Afterwards it may hold anything. Mostly it becomes the replica's weights.
  virtual void TakeAverage(std::vector<float>* average, Replica* replica) {
    replica->Replace(average);
  }

  // The model as far as this worker knows it now.
  virtual WeightsView Model(const Replica& replica) const { return replica.weights(); }

  // What it keeps from one step to the next.
  virtual State Give() const { return {}; }
  // Bytes of that state. Where it is large, no copy is made to count it.
  virtual int64_t state_bytes() const { return Give().bytes(); }
  // Goes on where the rule stopped that gave the state, of the same scheme and layout.
  // InvalidArgument: it is of another kind or size.
  virtual absl::Status Take(const State& state) { return state.CopyTo({}); }

 protected:
  // REQUIRES: the scheme's workers exchange weights with each other.
  explicit WeightRule(const WeightRuleSeat& seat);

  float workers() const { return static_cast<float>(traits_.workers); }
  const SchemeTraits& traits() const { return traits_; }

 private:
  // The steps before were synchronous, and all later ones are made alone.
  virtual void BeginAlone(absl::Span<const float> weights) {}

  const SchemeTraits traits_;
};

// |values - model| / |model|, L2 norms in double precision; 0 where both are 0.
double ConsensusDistance(absl::Span<const float> values, absl::Span<const float> model);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_WEIGHT_RULE_H_
