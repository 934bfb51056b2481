#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_NORM_GROUPS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_NORM_GROUPS_H_

#include <cstdint>

#include "worker/kernels/calls.h"
#include "worker/kernels/cublas/quads.h"
#include "worker/kernels/cublas/team.h"

namespace ringmaster {

// Groups up to this many elements are a warp's, above it a block's of 256 threads, and above that a
// block's of 1024: a batch norm has few groups and long ones, so each must fill a multiprocessor.
constexpr int64_t kWarpGroupMax = 1024;
constexpr int64_t kSmallBlockGroupMax = 16384;
constexpr int kLargeBlockThreads = 1024;

// Where the elements of a normalization's groups lie: each group has `segments` runs of `length`
// neighbouring floats, `stride` apart. A feature belongs to a run, or in a layer norm to a place
// within it.
struct NormGroups {
  NormKind kind = NormKind::kLayer;
  int64_t count = 0;  // of groups
  int64_t segments = 0, length = 0, stride = 0;
  int64_t images = 0, groups_per_image = 1;

  static NormGroups Of(const NormShape& shape) {
    NormGroups groups;
    groups.kind = shape.kind;
    groups.count = shape.groups();
    groups.images = shape.rows;
    groups.groups_per_image = shape.groups_per_image;
    const bool grouped = shape.kind == NormKind::kGroup;
    groups.segments = grouped ? shape.features / shape.groups_per_image : 1;
    groups.length = grouped ? shape.pixels : shape.elements_per_group();
    groups.stride = shape.rows * shape.pixels;
    return groups;
  }

  __host__ __device__ int64_t elements() const { return segments * length; }

  __device__ int64_t Begin(int64_t group) const {
    if (kind != NormKind::kGroup) return group * length;
    const int64_t image = group / groups_per_image;
    return (FirstFeature(group) * images + image) * length;
  }

  __device__ int64_t FirstFeature(int64_t group) const {
    return kind == NormKind::kLayer   ? 0
           : kind == NormKind::kBatch ? group
                                      : group % groups_per_image * segments;
  }

  // The values of `table`, one a feature, that belong to four neighbours beginning with `feature`.
  __device__ Quad OfFeatures(const float* table, int64_t feature, int64_t left) const {
    return kind == NormKind::kLayer ? LoadQuad(table + feature, left) : Broadcast(table[feature]);
  }
};

// Calls visit(at, left, feature) for this thread's share of the group's elements: at most four
// neighbours beginning at element `at` of the tensor, of which `left` are left in their run, the
// first of them of `feature`.
template <int kThreads, typename Visit>
__device__ inline void VisitGroup(const NormGroups& groups, int64_t group, Visit visit) {
  const int64_t begin = groups.Begin(group), first_feature = groups.FirstFeature(group);
  const int64_t quads = (groups.length + kQuad - 1) / kQuad;  // of one run
  for (int64_t i = Team<kThreads>::Rank(); i < groups.segments * quads; i += kThreads) {
    const int64_t segment = groups.segments == 1 ? 0 : i / quads;
    const int64_t offset = kQuad * (i - segment * quads);
    visit(begin + segment * groups.stride + offset, groups.length - offset,
          first_feature + (groups.kind == NormKind::kLayer ? offset : segment));
  }
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_NORM_GROUPS_H_
