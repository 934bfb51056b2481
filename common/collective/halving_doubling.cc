#include "common/collective/halving_doubling.h"

namespace ringmaster {
namespace {

class HalvingDoubling : public Schedule {
 public:
  absl::string_view name() const override { return "halving_doubling"; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    int32_t parties = 1;
    while (parties <= ranks / 2) parties *= 2;
    const int32_t extra = ranks - parties;
    std::vector<Step> steps;
    int32_t rounds = 0;
    for (int32_t span = parties; span > 1; span /= 2) ++rounds;
    const int32_t last = 2 * rounds + 1;
    if (rank < 2 * extra && rank % 2 == 1) {
      return {{Step::Op::kSend, rank - 1, 0, ranks, 0},
              {Step::Op::kReceive, rank - 1, 0, ranks, last}};
    }
    if (rank < 2 * extra) steps.push_back({Step::Op::kReceiveAdd, rank + 1, 0, ranks, 0});
    const int32_t party = rank < 2 * extra ? rank / 2 : rank - extra;
    const auto rank_of = [extra](int32_t party) {
      return party < extra ? 2 * party : party + extra;
    };
    // A step about `count` blocks from `block` on.
    const auto blocks = [&](Step::Op op, int32_t peer, int32_t block, int32_t count,
                            int32_t round) {
      const int64_t begin = Part(ranks, parties, block).begin;
      const int64_t end = Part(ranks, parties, block + count - 1).end();
      steps.push_back({op, rank_of(peer), static_cast<int32_t>(begin),
                       static_cast<int32_t>(end - begin), round});
    };
    int32_t round = 1;
    for (int32_t half = parties / 2; half >= 1; half /= 2, ++round) {
      const int32_t own = party / half * half;
      const int32_t other = own ^ half;
      blocks(Step::Op::kSend, party ^ half, other, half, round);
      blocks(Step::Op::kReceiveAdd, party ^ half, own, half, round);
    }
    for (int32_t half = 1; half < parties; half *= 2, ++round) {
      const int32_t own = party / half * half;
      blocks(Step::Op::kSend, party ^ half, own, half, round);
      blocks(Step::Op::kReceive, party ^ half, own ^ half, half, round);
    }
    if (rank < 2 * extra) steps.push_back({Step::Op::kSend, rank + 1, 0, ranks, last});
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateHalvingDoubling() { return std::make_unique<HalvingDoubling>(); }

}  // namespace ringmaster
