#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MARKED_REPLICAS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MARKED_REPLICAS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/config/describe.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "experiments/study/simulate/planned_sum.h"

namespace ringmaster {

// The models at the marks of a simulated run where they are averages of all workers' weights
// (SchemeTraits::marks_are_averages). It keeps a worker's weights until all workers have passed the
// mark. One thread.
class MarkedReplicas {
 public:
  // `layout` and `plan`, that of the run's exchange, outlive this.
  MarkedReplicas(std::vector<SampleMark> marks, const ParamLayout& layout,
                 const AllReducePlan& plan);

  // `rank` passes the mark with these weights, [layout.count()]. Once all have: the model, to the
  // bits of a real run's. Each worker passes each mark once, in ascending order, so all have passed
  // them in ascending order too.
  std::optional<std::vector<float>> Pass(size_t mark, int32_t rank,
                                         absl::Span<const float> weights);

 private:
  using Replicas = std::vector<std::vector<float>>;  // by rank; empty: it has not passed

  std::vector<float> Average(const Replicas& replicas);

  const std::vector<SampleMark> marks_;
  const ParamLayout& layout_;
  const AllReducePlan& plan_;
  std::vector<Replicas> replicas_;  // by mark
  std::vector<int32_t> passed_;     // workers, by mark
  PlannedSums sums_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MARKED_REPLICAS_H_
