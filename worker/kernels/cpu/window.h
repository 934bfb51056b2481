#ifndef RINGMASTER_WORKER_KERNELS_CPU_WINDOW_H_
#define RINGMASTER_WORKER_KERNELS_CPU_WINDOW_H_

#include <algorithm>
#include <cstdint>

#include "common/base/partition.h"

namespace ringmaster::cpu {

// One position of a convolution's kernel.
struct KernelPosition {
  int64_t channel, ky, kx;
};

// The outputs, along one axis, whose kernel position `shift` (position less padding) looks inside
// the image: 0 <= output * stride + shift < in_size. The rest, before and behind, looks at padding.
inline Range OutputsInside(int64_t shift, int64_t stride, int64_t in_size, int64_t out_size) {
  const int64_t begin = std::min(CeilDiv(std::max<int64_t>(-shift, 0), stride), out_size);
  const int64_t end = std::min(CeilDiv(std::max<int64_t>(in_size - shift, 0), stride), out_size);
  return {begin, std::max<int64_t>(end - begin, 0)};
}

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_WINDOW_H_
