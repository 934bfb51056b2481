#include "experiments/study/simulate/marked_replicas.h"

#include <utility>

#include "common/vecmath/vecmath.h"
#include "experiments/study/simulate/sum_in_memory.h"

namespace ringmaster {

MarkedReplicas::MarkedReplicas(std::vector<SampleMark> marks, const ParamLayout& layout,
                               const AllReducePlan& plan)
    : marks_(std::move(marks)),
      layout_(layout),
      plan_(plan),
      replicas_(marks_.size()),
      passed_(marks_.size()) {}

std::optional<std::vector<float>> MarkedReplicas::Pass(size_t mark, int32_t rank,
                                                       absl::Span<const float> weights) {
  Replicas& replicas = replicas_[mark];
  replicas.resize(plan_.scheme.workers);
  replicas[rank].assign(weights.begin(), weights.end());
  if (++passed_[mark] < plan_.scheme.workers) return std::nullopt;
  if (!AreEqualAfter(plan_.scheme, marks_[mark].update - 1)) Average(&replicas);
  return std::exchange(replicas, {}).front();
}

void MarkedReplicas::Average(Replicas* replicas) const {
  for (const Bucket& bucket : layout_.buckets()) {
    std::vector<absl::Span<float>> values;
    for (std::vector<float>& replica : *replicas)
      values.push_back(absl::MakeSpan(replica).subspan(bucket.begin, bucket.count));
    SumInMemory(*plan_.buckets[bucket.id].rounds.front().averages, values);
  }
  Divide(static_cast<float>(plan_.scheme.workers), absl::MakeSpan(replicas->front()));
}

}  // namespace ringmaster
