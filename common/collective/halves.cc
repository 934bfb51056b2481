#include "common/collective/halves.h"

#include "common/collective/direct.h"

namespace ringmaster {
namespace {

class OneRound : public Schedule {
 public:
  OneRound(absl::string_view name, int32_t round)
      : whole_(CreateDirect()), name_(name), round_(round) {}
  absl::string_view name() const override { return name_; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    std::vector<Step> steps;
    for (const Step& step : whole_->StepsOf(rank, ranks)) {
      if (step.round == round_) steps.push_back(step);
    }
    return steps;
  }

 private:
  const std::unique_ptr<Schedule> whole_;
  const absl::string_view name_;
  const int32_t round_;
};

}  // namespace

std::unique_ptr<Schedule> CreateReduceScatter() {
  return std::make_unique<OneRound>("reduce_scatter", 0);
}
std::unique_ptr<Schedule> CreateAllGather() {
  return std::make_unique<OneRound>("all_gather of chunks", 1);
}

}  // namespace ringmaster
