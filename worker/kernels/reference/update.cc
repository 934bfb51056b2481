#include <cmath>

#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {
namespace {

// clip * gradient + decay * weight.
float Direction(const ElementUpdate& update, float gradient, float weight) {
  const float clipped = update.clip == 1 ? gradient : update.clip * gradient;
  if (update.decay == 0) return clipped;
  const float decayed = update.decay * weight;
  return clipped + decayed;
}

// Returns the new weight. `first`, `second`: the element's state.
float AdamWeight(const ElementUpdate& update, float g, float weight, float* first, float* second) {
  const AdamFactors& adam = update.adam;
  const float first_kept = adam.first_keep * *first;
  const float first_new = adam.first_share * g;
  *first = first_kept + first_new;
  const float second_kept = adam.second_keep * *second;
  const float second_scaled = adam.second_share * g;
  const float second_new = second_scaled * g;
  *second = second_kept + second_new;
  const float root = std::sqrt(*second) * adam.root_factor;
  const float way = adam.step * (*first / (root + adam.epsilon));
  const float kept = update.keep * weight;
  return kept - way;
}

}  // namespace

// weights, first and second, as element_update.h has them. Each product and sum is rounded, since
// nothing is contracted (.bazelrc).
void Compute(const UpdateCall& call) {
  const ElementUpdate& update = call.update;
  for (int64_t i = 0; i < call.count; ++i) {
    float& weight = call.weights[i];
    const float g = Direction(update, call.gradient[i], weight);
    switch (update.kind) {
      case UpdateKind::kStatistic: {
        const float kept = update.keep * weight;
        const float added = update.share * call.gradient[i];
        weight = kept + added;
        break;
      }
      case UpdateKind::kSgd:
        weight -= update.rate * g;
        break;
      case UpdateKind::kMomentum:
      case UpdateKind::kNesterov: {
        float& velocity = call.first[i];
        velocity = update.momentum * velocity + g;
        const bool looks_ahead = update.kind == UpdateKind::kNesterov;
        weight -= update.rate * (looks_ahead ? g + update.momentum * velocity : velocity);
        break;
      }
      case UpdateKind::kAdam:
        weight = AdamWeight(update, g, weight, &call.first[i], &call.second[i]);
        break;
    }
  }
}

}  // namespace ringmaster::reference
