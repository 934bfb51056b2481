#include "common/collective/ring.h"

namespace ringmaster {
namespace {

class Ring : public Schedule {
 public:
  absl::string_view name() const override { return "ring"; }

  int32_t senders_max(int32_t ranks) const override { return ranks > 1 ? 1 : 0; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    const auto chunk = [ranks](int32_t index) { return (index % ranks + ranks) % ranks; };
    const int32_t next = chunk(rank + 1);
    const int32_t previous = chunk(rank - 1);
    const int32_t rounds = ranks - 1;
    std::vector<Step> steps;
    for (int32_t k = 0; k < rounds; ++k) {
      steps.push_back({Step::Op::kSend, next, chunk(rank - k), 1, k});
      steps.push_back({Step::Op::kReceiveAdd, previous, chunk(rank - k - 1), 1, k});
    }
    // Rank r now has the whole sum of chunk r+1 and hands it on.
    for (int32_t k = 0; k < rounds; ++k) {
      steps.push_back({Step::Op::kSend, next, chunk(rank + 1 - k), 1, rounds + k});
      steps.push_back({Step::Op::kReceive, previous, chunk(rank - k), 1, rounds + k});
    }
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateRing() { return std::make_unique<Ring>(); }

}  // namespace ringmaster
