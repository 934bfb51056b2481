#include "common/collective/binomial_tree.h"

namespace ringmaster {
namespace {

// Rounds it takes to reach `ranks` ranks when their number doubles in each.
int32_t RoundsFor(int32_t ranks) {
  int32_t rounds = 0;
  while ((int64_t{1} << rounds) < ranks) ++rounds;
  return rounds;
}

// Adds the steps of the way down from rank 0.
void AddBroadcast(int32_t rank, int32_t ranks, int32_t first_round, std::vector<Step>* steps) {
  const int32_t rounds = RoundsFor(ranks);
  for (int32_t k = 0; k < rounds; ++k) {
    const int32_t stride = 1 << (rounds - 1 - k);
    if (rank % (2 * stride) == 0 && rank + stride < ranks) {
      steps->push_back({Step::Op::kSend, rank + stride, 0, ranks, first_round + k});
    } else if (rank % (2 * stride) == stride) {
      steps->push_back({Step::Op::kReceive, rank - stride, 0, ranks, first_round + k});
    }
  }
}

class BinomialTree : public Schedule {
 public:
  absl::string_view name() const override { return "binomial_tree"; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    std::vector<Step> steps;
    const int32_t rounds = RoundsFor(ranks);
    for (int32_t k = 0; k < rounds; ++k) {
      const int32_t stride = 1 << k;
      if (rank % (2 * stride) == stride) {
        steps.push_back({Step::Op::kSend, rank - stride, 0, ranks, k});
        break;
      }
      if (rank + stride < ranks)
        steps.push_back({Step::Op::kReceiveAdd, rank + stride, 0, ranks, k});
    }
    AddBroadcast(rank, ranks, rounds, &steps);
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateBinomialTree() { return std::make_unique<BinomialTree>(); }

}  // namespace ringmaster
