#include "worker/strategy/elastic/elastic_rule.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

class ElasticRule : public WeightRule {
 public:
  explicit ElasticRule(const WeightRuleSeat& seat)
      : WeightRule(seat),
        alpha_(seat.spec->strategy().elastic().alpha()),
        center_(seat.weights.begin(), seat.weights.end()),
        moved_(center_.size()) {}

  // Both go towards where the other was.
  void TakeSum(std::vector<float>* sum, Replica* replica) override {
    Divide(workers(), absl::MakeSpan(*sum));
    const absl::Span<const float> weights = replica->OnHost();
    std::copy(weights.begin(), weights.end(), moved_.begin());
    MoveTowards(static_cast<float>(alpha_), center_, absl::MakeSpan(moved_));
    MoveTowards(static_cast<float>(traits().workers * alpha_), *sum, absl::MakeSpan(center_));
    replica->Replace(&moved_);
    ++version_;
  }

  // The center. Versions of a replica's weights are 0 or more, and those of marks below 0.
  WeightsView Model(const Replica& replica) const override {
    return WeightsView::OnHost(center_, std::numeric_limits<int64_t>::min() + version_);
  }

  State Give() const override {
    State state;
    state.AddFloats("center", center_);
    return state;
  }
  int64_t state_bytes() const override {
    return static_cast<int64_t>(center_.size() * sizeof(float));
  }
  absl::Status Take(const State& state) override {
    return state.CopyTo({{"center", absl::MakeSpan(center_)}});
  }

 private:
  const double alpha_;
  std::vector<float> center_;
  std::vector<float> moved_;  // weights on their way
  int64_t version_ = 0;       // of the center
};

}  // namespace

absl::StatusOr<std::unique_ptr<WeightRule>> CreateElasticRule(const WeightRuleSeat& seat) {
  return std::make_unique<ElasticRule>(seat);
}

}  // namespace ringmaster
