#include <cstring>

#include "worker/kernels/host_ops.h"

namespace ringmaster::host {

// data[i] = 0
void Compute(const FillZeroCall& call) {
  if (call.count > 0) std::memset(call.data, 0, static_cast<size_t>(call.count) * sizeof(float));
}

// to[i] = from[i]
void Compute(const CopyFloatsCall& call) {
  if (call.count > 0)
    std::memcpy(call.to, call.from, static_cast<size_t>(call.count) * sizeof(float));
}

}  // namespace ringmaster::host
