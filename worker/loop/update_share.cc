#include "worker/loop/update_share.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

absl::StatusOr<UpdateShare> UpdateShareOf(const RunSpec& spec, const ParamLayout& layout,
                                          int32_t rank) {
  const TrainingSpec& training = spec.training();
  const SchemeTraits traits = TraitsOf(spec);
  UpdateScope scope{layout.count(), training.workers() * training.accumulate(), {}, {}};
  scope.statistics.assign(layout.statistics().begin(), layout.statistics().end());
  std::vector<UpdateShare::Slice> slices;
  if (traits.updated == nullptr) {
    for (const Bucket& bucket : layout.buckets())
      slices.push_back({bucket.id, {bucket.begin, bucket.count}});
  } else {
    scope.updated = traits.updated(layout, traits.workers, rank);
    auto bucket = layout.buckets().begin();
    for (const Range& range : *scope.updated) {
      while (range.begin >= bucket->begin + bucket->count) ++bucket;
      RM_CHECK(range.begin >= bucket->begin && range.end() <= bucket->begin + bucket->count);
      slices.push_back({bucket->id, range});
    }
  }
  RM_ASSIGN_OR_RETURN(UpdatePlan plan, UpdatePlan::Create(spec.optimizer(), std::move(scope)));
  return UpdateShare{std::move(plan), std::move(slices), GlobalBatch(spec)};
}

}  // namespace ringmaster
