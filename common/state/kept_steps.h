#ifndef RINGMASTER_COMMON_STATE_KEPT_STEPS_H_
#define RINGMASTER_COMMON_STATE_KEPT_STEPS_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/state/state.h"

namespace ringmaster {

// The states of one node at the beginnings of its last two steps: what a run goes back to when a
// process of it is lost. Nodes whose steps depend on each other are at most one step apart, so they
// have one of these in common. One thread at a time.
class KeptSteps {
 public:
  // Keeps the state before `step`, in place of the older one. REQUIRES: the steps ascend.
  void Keep(int64_t step, State state) {
    RM_CHECK(kept_.empty() || kept_.back().step < step);
    if (kept_.size() == 2) kept_.erase(kept_.begin());
    kept_.push_back({step, std::move(state)});
  }

  // In ascending order, none before the first Keep.
  std::vector<int64_t> steps() const {
    std::vector<int64_t> steps;
    for (const Kept& kept : kept_) steps.push_back(kept.step);
    return steps;
  }

  bool Has(int64_t step) const {
    return std::any_of(kept_.begin(), kept_.end(),
                       [step](const Kept& kept) { return kept.step == step; });
  }

  // Takes the state before `step` out, and forgets the other. REQUIRES: it is one of steps().
  State Take(int64_t step) {
    for (Kept& kept : kept_) {
      if (kept.step != step) continue;
      State state = std::move(kept.state);
      kept_.clear();
      return state;
    }
    RM_CHECK(false);
    return State();
  }

 private:
  struct Kept {
    int64_t step = 0;
    State state;
  };
  std::vector<Kept> kept_;  // in ascending order, two at most
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_STATE_KEPT_STEPS_H_
