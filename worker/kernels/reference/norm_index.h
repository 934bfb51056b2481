#ifndef RINGMASTER_WORKER_KERNELS_REFERENCE_NORM_INDEX_H_
#define RINGMASTER_WORKER_KERNELS_REFERENCE_NORM_INDEX_H_

#include <cstdint>

#include "worker/kernels/calls.h"

namespace ringmaster::reference {

// Where the elements of a normalization lie: one formula for the three kinds of calls.h, so that
// the operations are written once.
class NormIndex {
 public:
  explicit NormIndex(const NormShape& shape) : shape_(shape) {}

  int64_t per_feature() const { return shape_.rows * shape_.pixels; }

  // The feature and the group that element `at` belongs to.
  int64_t FeatureOf(int64_t at) const {
    return shape_.kind == NormKind::kLayer ? at % shape_.features : at / per_feature();
  }
  int64_t GroupOf(int64_t at) const {
    if (shape_.kind == NormKind::kLayer) return at / shape_.features;
    if (shape_.kind == NormKind::kBatch) return FeatureOf(at);
    const int64_t image = at / shape_.pixels % shape_.rows;
    return image * shape_.groups_per_image + FeatureOf(at) / channels_per_group();
  }

  // The i-th element of a group, 0 <= i < elements_per_group(), and of a feature, 0 <= i <
  // per_feature().
  int64_t InGroup(int64_t group, int64_t i) const {
    if (shape_.kind != NormKind::kGroup) return group * shape_.elements_per_group() + i;
    const int64_t image = group / shape_.groups_per_image;
    const int64_t feature =
        group % shape_.groups_per_image * channels_per_group() + i / shape_.pixels;
    return (feature * shape_.rows + image) * shape_.pixels + i % shape_.pixels;
  }
  int64_t InFeature(int64_t feature, int64_t i) const {
    return shape_.kind == NormKind::kLayer ? i * shape_.features + feature
                                           : feature * per_feature() + i;
  }

 private:
  int64_t channels_per_group() const { return shape_.features / shape_.groups_per_image; }

  const NormShape shape_;
};

}  // namespace ringmaster::reference

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_NORM_INDEX_H_
