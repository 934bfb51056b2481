#include "common/collective/recursive_doubling.h"

namespace ringmaster {
namespace {

class RecursiveDoubling : public Schedule {
 public:
  absl::string_view name() const override { return "recursive_doubling"; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    int32_t parties = 1;
    int32_t rounds = 0;
    for (; parties <= ranks / 2; parties *= 2) ++rounds;
    const int32_t extra = ranks - parties;
    const bool in_pair = rank < 2 * extra;
    if (in_pair && rank % 2 == 1) {
      return {{Step::Op::kSend, rank - 1, 0, ranks, 0},
              {Step::Op::kReceive, rank - 1, 0, ranks, rounds + 1}};
    }
    std::vector<Step> steps;
    if (in_pair) steps.push_back({Step::Op::kReceiveAdd, rank + 1, 0, ranks, 0});
    const int32_t party = in_pair ? rank / 2 : rank - extra;
    for (int32_t round = 1; round <= rounds; ++round) {
      const int32_t other = party ^ (1 << (round - 1));
      const int32_t peer = other < extra ? 2 * other : other + extra;
      steps.push_back({Step::Op::kSend, peer, 0, ranks, round});
      steps.push_back({Step::Op::kReceiveAdd, peer, 0, ranks, round});
    }
    if (in_pair) steps.push_back({Step::Op::kSend, rank + 1, 0, ranks, rounds + 1});
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateRecursiveDoubling() {
  return std::make_unique<RecursiveDoubling>();
}

}  // namespace ringmaster
