#include "common/collective/halves.h"

#include <utility>

#include "common/collective/direct.h"
#include "common/collective/ring.h"

namespace ringmaster {
namespace {

// One half of the rounds of another schedule.
class Half : public Schedule {
 public:
  Half(absl::string_view name, std::unique_ptr<Schedule> whole, bool second)
      : whole_(std::move(whole)), name_(name), second_(second) {}
  absl::string_view name() const override { return name_; }

  int32_t senders_max(int32_t ranks) const override { return whole_->senders_max(ranks); }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    const std::vector<Step> all = whole_->StepsOf(rank, ranks);
    std::vector<Step> steps;
    for (const Step& step : all) {
      const bool is_second = 2 * step.round > all.back().round;
      if (is_second == second_) steps.push_back(step);
    }
    return steps;
  }

 private:
  const std::unique_ptr<Schedule> whole_;
  const absl::string_view name_;
  const bool second_;
};

}  // namespace

std::unique_ptr<Schedule> CreateReduceScatter() {
  return std::make_unique<Half>("reduce_scatter", CreateDirect(), false);
}
std::unique_ptr<Schedule> CreateAllGather() {
  return std::make_unique<Half>("all_gather of chunks", CreateDirect(), true);
}
std::unique_ptr<Schedule> CreateRingReduceScatter() {
  return std::make_unique<Half>("ring_reduce_scatter", CreateRing(), false);
}
std::unique_ptr<Schedule> CreateRingAllGather() {
  return std::make_unique<Half>("ring_all_gather", CreateRing(), true);
}

}  // namespace ringmaster
