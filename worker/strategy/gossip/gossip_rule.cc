#include "worker/strategy/gossip/gossip_rule.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "common/collective/gossip.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

class GossipRule : public WeightRule {
 public:
  explicit GossipRule(const WeightRuleSeat& seat)
      : WeightRule(seat),
        sources_(static_cast<float>(
            GossipSources(*traits().gossip, traits().workers, /*round=*/0, seat.rank).size())),
        model_(seat.weights.size()) {}

  void StepBegins() override { averaged_ = false; }

  void TakeSum(std::vector<float>* sum, Replica* replica) override {
    Divide(sources_, absl::MakeSpan(*sum));
    replica->Replace(sum);
  }

  void TakeAverage(std::vector<float>* average, Replica* replica) override {
    model_.swap(*average);
    averaged_ = true;
    ++averages_;
  }

  // Before the first step all workers have the same weights. Versions of a replica's weights are 0
  // or more, and those of marks below 0.
  WeightsView Model(const Replica& replica) const override {
    return averaged_ ? WeightsView::OnHost(model_, std::numeric_limits<int64_t>::min() + averages_)
                     : replica.weights();
  }

 private:
  const float sources_;       // whose weights an average is made of
  std::vector<float> model_;  // of the last drain
  bool averaged_ = false;     // by a drain, and no step has begun since
  int64_t averages_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WeightRule>> CreateGossipRule(const WeightRuleSeat& seat) {
  return std::make_unique<GossipRule>(seat);
}

}  // namespace ringmaster
