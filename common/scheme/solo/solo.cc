#include "common/scheme/solo/solo.h"

namespace ringmaster {
namespace {

constexpr ArmInfo kArms[] = {
    {"solo", "N workers that exchange nothing: the ceiling of efficiency, and nothing else", 20,
     true, "strategy { solo {} }", ""},
};

void LeaveAsItIs(int32_t, StrategySpec*) {}

void FindNothing(const RunSpec&, Problems*) {}

SchemeTraits Traits(const StrategySpec&, int32_t workers) {
  SchemeTraits traits;
  traits.workers = workers;
  traits.divisor = Divisor::kOwnBatches;
  traits.replicas = Replicas::kIndependent;
  traits.yardstick = Yardstick::kEfficiency;
  traits.exchanges = false;
  return traits;
}

}  // namespace

constexpr Scheme kSoloScheme = {
    "solo",      "N workers that exchange nothing: the ceiling of efficiency, no accuracy",
    kArms,       LeaveAsItIs,
    FindNothing, Traits,
    nullptr,     nullptr,
};

}  // namespace ringmaster
