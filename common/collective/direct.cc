#include "common/collective/direct.h"

namespace ringmaster {
namespace {

class Direct : public Schedule {
 public:
  absl::string_view name() const override { return "direct"; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    std::vector<Step> steps;
    // Sends start with the next rank, so that not everybody's first message goes to rank 0.
    for (int32_t k = 1; k < ranks; ++k) {
      const int32_t peer = (rank + k) % ranks;
      steps.push_back({Step::Op::kSend, peer, peer, 1, 0});
    }
    for (int32_t peer = 0; peer < ranks; ++peer) {
      if (peer != rank) steps.push_back({Step::Op::kReceiveAdd, peer, rank, 1, 0});
    }
    for (int32_t k = 1; k < ranks; ++k) {
      steps.push_back({Step::Op::kSend, (rank + k) % ranks, rank, 1, 1});
    }
    for (int32_t peer = 0; peer < ranks; ++peer) {
      if (peer != rank) steps.push_back({Step::Op::kReceive, peer, peer, 1, 1});
    }
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateDirect() { return std::make_unique<Direct>(); }

}  // namespace ringmaster
