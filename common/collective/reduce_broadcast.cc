#include "common/collective/reduce_broadcast.h"

namespace ringmaster {
namespace {

constexpr int32_t kRoot = 0;

class ReduceBroadcast : public Schedule {
 public:
  absl::string_view name() const override { return "reduce_broadcast"; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    if (rank != kRoot) {
      return {{Step::Op::kSend, kRoot, 0, ranks, 0}, {Step::Op::kReceive, kRoot, 0, ranks, 1}};
    }
    std::vector<Step> steps;
    for (int32_t peer = 1; peer < ranks; ++peer)
      steps.push_back({Step::Op::kReceiveAdd, peer, 0, ranks, 0});
    for (int32_t peer = 1; peer < ranks; ++peer)
      steps.push_back({Step::Op::kSend, peer, 0, ranks, 1});
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateReduceBroadcast() { return std::make_unique<ReduceBroadcast>(); }

}  // namespace ringmaster
