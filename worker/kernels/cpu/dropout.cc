#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/dropout_mask.h"

namespace ringmaster::cpu {

// data[i] = kept(seed, i) ? data[i] / (1 - rate) : 0; in place.
void Dropout(const DropoutCall& call) {
  const uint64_t seed = call.seed;
  const float rate = call.rate, kept_share = 1.0f - call.rate;
  float* data = call.data;
  for (int64_t i = 0; i < call.count; ++i) {
    const float scaled = data[i] / kept_share;
    data[i] = DropoutKeeps(seed, static_cast<uint64_t>(i), rate) ? scaled : 0.0f;
  }
}

}  // namespace ringmaster::cpu
