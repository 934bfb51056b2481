#include "common/update/update_elements.h"

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {

// As whoever updates weights on the host does.
void Compute(const UpdateCall& call) {
  const auto count = static_cast<size_t>(call.count);
  UpdateElements(call.update,
                 {absl::MakeConstSpan(call.gradient, count), absl::MakeSpan(call.weights, count),
                  absl::MakeSpan(call.first, call.first == nullptr ? 0 : count),
                  absl::MakeSpan(call.second, call.second == nullptr ? 0 : count)});
}

}  // namespace ringmaster::cpu
