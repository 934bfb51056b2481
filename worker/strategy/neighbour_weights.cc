#include "worker/strategy/neighbour_weights.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

NeighbourWeights::NeighbourWeights(const NeighbourSeat& seat, const ParamLayout& layout)
    : seat_(seat),
      layout_(layout),
      sources_(static_cast<int32_t>(
          GossipSources(seat.graph, seat.workers, /*round=*/0, seat.rank).size())),
      data_(layout.count() * sources_),
      lost_(seat.workers) {}

void NeighbourWeights::Begin(absl::Span<const float> weights) {
  RM_CHECK(static_cast<int64_t>(weights.size()) == layout_.count());
  for (const Bucket& bucket : layout_.buckets()) {
    const absl::Span<const float> own = weights.subspan(bucket.begin, bucket.count);
    std::copy(own.begin(), own.end(), DataOf(bucket).begin());
  }
}

absl::Span<float> NeighbourWeights::DataOf(const Bucket& bucket) {
  return absl::MakeSpan(data_).subspan(sources_ * bucket.begin, sources_ * bucket.count);
}

void NeighbourWeights::Sum(int32_t round, std::vector<float>* sum) const {
  RM_CHECK(static_cast<int64_t>(sum->size()) == layout_.count());
  const std::vector<int32_t> sources = GossipSources(seat_.graph, seat_.workers, round, seat_.rank);
  for (const Bucket& bucket : layout_.buckets()) {
    const absl::Span<float> out = absl::MakeSpan(*sum).subspan(bucket.begin, bucket.count);
    int64_t place = 1;
    bool is_first = true;
    for (const int32_t source : sources) {
      const int64_t chunk = source == seat_.rank ? 0 : place++;
      const absl::Span<const float> values = absl::MakeConstSpan(data_).subspan(
          sources_ * bucket.begin + (lost_[source] ? 0 : chunk) * bucket.count, bucket.count);
      if (is_first) {
        std::copy(values.begin(), values.end(), out.begin());
      } else {
        Add(values, out);
      }
      is_first = false;
    }
  }
}

}  // namespace ringmaster
