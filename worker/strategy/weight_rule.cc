#include "worker/strategy/weight_rule.h"

#include <cmath>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/scheme/registry.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

WeightRule::WeightRule(const WeightRuleSeat& seat) : traits_(TraitsOf(*seat.spec)) {
  RM_CHECK(traits_.exchanged != Exchanged::kGradients);
}

absl::Status WeightRule::Update(int64_t step, absl::Span<const BucketGradient> gradients,
                                Replica* replica) {
  if (ExchangedIn(traits_, step) == Exchanged::kGradients) {
    for (const BucketGradient& sum : gradients) Divide(workers(), sum.host());
  }
  RM_RETURN_IF_ERROR(replica->Apply(step, gradients));
  if (step + 1 == traits_.synchronous_steps) BeginAlone(replica->OnHost());
  return absl::OkStatus();
}

double ConsensusDistance(absl::Span<const float> values, absl::Span<const float> model) {
  const double squares = SumOfSquaredDifferences(values, model);
  return squares == 0 ? 0 : std::sqrt(squares / SumOfSquares(model));
}

}  // namespace ringmaster
