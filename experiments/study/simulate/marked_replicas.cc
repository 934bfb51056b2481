#include "experiments/study/simulate/marked_replicas.h"

#include <cstddef>
#include <utility>

#include "common/base/element_type.h"
#include "common/vecmath/element_bytes.h"
#include "common/vecmath/vecmath.h"

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
  const Replicas all = std::exchange(replicas, {});
  if (AreEqualAfter(plan_.scheme, marks_[mark].update - 1)) return all.front();
  return Average(all);
}

std::vector<float> MarkedReplicas::Average(const Replicas& replicas) {
  std::vector<float> average(layout_.count());
  for (const Bucket& bucket : layout_.buckets()) {
    const auto begin = static_cast<size_t>(bucket.begin), count = static_cast<size_t>(bucket.count);
    std::vector<absl::Span<const std::byte>> values;
    for (const std::vector<float>& replica : replicas)
      values.push_back(BytesOf(absl::MakeConstSpan(replica).subspan(begin, count)));
    sums_.Of(*plan_.buckets[bucket.id].rounds.front().averages)
        .Run(ElementType::kFloat32, values, BytesOf(absl::MakeSpan(average).subspan(begin, count)));
  }
  Divide(static_cast<float>(plan_.scheme.workers), absl::MakeSpan(average));
  return average;
}

}  // namespace ringmaster
