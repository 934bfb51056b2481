#include "common/scheme/single/single.h"

namespace ringmaster {
namespace {

constexpr ArmInfo kArms[] = {
    {"single",
     "one worker computes the global batch alone, as N micro-batches: the base of speed-up", 10,
     true, "strategy { single {} }", ""},
};

void LeaveAsItIs(int32_t, StrategySpec*) {}

void FindNothing(const RunSpec&, Problems*) {}

SchemeTraits Traits(const StrategySpec&, int32_t) {
  SchemeTraits traits;
  traits.workers = 1;
  traits.yardstick = Yardstick::kSpeedUp;
  traits.exchanges = false;
  return traits;
}

}  // namespace

constexpr Scheme kSingleScheme = {
    "single",
    "one worker computes all N micro-batches: the reference trajectory, and the base of speed-up",
    kArms,
    LeaveAsItIs,
    FindNothing,
    Traits,
    nullptr,
    nullptr,
};

}  // namespace ringmaster
