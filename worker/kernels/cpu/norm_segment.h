#ifndef RINGMASTER_WORKER_KERNELS_CPU_NORM_SEGMENT_H_
#define RINGMASTER_WORKER_KERNELS_CPU_NORM_SEGMENT_H_

#include <cstdint>

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {

// Neighbouring elements of one group of a batch or group norm that share a feature: a group is one
// or more of them.
struct NormSegment {
  int64_t begin = 0, count = 0, feature = 0;
};

// The segments of a group: batch one, group one a channel. Not for layer norms, whose features
// change by element.
class NormSegments {
 public:
  NormSegments(const NormShape& shape, int64_t group) : shape_(shape), group_(group) {}

  int64_t count() const {
    return shape_.kind == NormKind::kBatch ? 1 : shape_.features / shape_.groups_per_image;
  }

  NormSegment At(int64_t i) const {
    if (shape_.kind == NormKind::kBatch) {
      const int64_t elements = shape_.rows * shape_.pixels;
      return {group_ * elements, elements, group_};
    }
    const int64_t image = group_ / shape_.groups_per_image;
    const int64_t feature = group_ % shape_.groups_per_image * count() + i;
    return {(feature * shape_.rows + image) * shape_.pixels, shape_.pixels, feature};
  }

 private:
  const NormShape& shape_;
  const int64_t group_;
};

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_NORM_SEGMENT_H_
