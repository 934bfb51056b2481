#include "common/collective/owned_chunks.h"

#include <utility>

#include "common/base/check.h"
#include "common/collective/halves.h"

namespace ringmaster {
namespace {

class ChunksByRank : public Schedule {
 public:
  ChunksByRank(std::unique_ptr<Schedule> half, std::vector<int32_t> ranks_by_place)
      : half_(std::move(half)), chunks_(ranks_by_place.size()) {
    const auto ranks = static_cast<int32_t>(ranks_by_place.size());
    for (int32_t place = 0; place < ranks; ++place)
      chunks_[RingChunkOf(place, ranks)] = RingChunkOf(ranks_by_place[place], ranks);
  }

  absl::string_view name() const override { return half_->name(); }
  int32_t senders_max(int32_t ranks) const override { return half_->senders_max(ranks); }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks == static_cast<int32_t>(chunks_.size()));
    std::vector<Step> steps = half_->StepsOf(rank, ranks);
    for (Step& step : steps) {
      RM_CHECK(step.chunk_count == 1);
      step.chunk_begin = chunks_[step.chunk_begin];
    }
    return steps;
  }

 private:
  const std::unique_ptr<Schedule> half_;
  std::vector<int32_t> chunks_;  // by what the half calls them
};

}  // namespace

std::unique_ptr<Schedule> WithChunksByRank(std::unique_ptr<Schedule> half,
                                           std::vector<int32_t> ranks_by_place) {
  return std::make_unique<ChunksByRank>(std::move(half), std::move(ranks_by_place));
}

}  // namespace ringmaster
