#include "common/scheme/delayed/delayed.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/collective/choice.h"
#include "common/scheme/all_reduce/sums.h"
#include "common/scheme/group_order.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr ArmInfo kArms[] = {
    {"delayed", "ring all-reduce whose sum is applied one step later, so that nobody waits for it",
     285, false, "strategy { delayed { collective: 'ring' } }", ""},
};

void Resolve(int32_t, StrategySpec* strategy) {
  DelayedSpec* delayed = strategy->mutable_delayed();
  if (delayed->collective().empty()) delayed->set_collective("ring");
}

void Check(const RunSpec& spec, Problems* problems) {
  const std::string& collective = spec.strategy().delayed().collective();
  problems->Known("strategy.delayed.collective", "collective", collective,
                  RegistryNames(CollectiveChoices()));
  CheckSummedCodec(spec, collective, problems);
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  SchemeTraits traits;
  traits.workers = workers;
  traits.delay = 1;
  traits.collective = ScheduleNameOf(strategy.delayed().collective());
  traits.group_size = GroupSizeFor(traits.collective, strategy.group_order(), workers);
  return traits;
}

absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  return SumTraffic(spec, Traits(spec.strategy(), spec.training().workers()), layout, node, steps);
}

std::string Rule(const RunSpec& spec) {
  const int32_t delay = Traits(spec.strategy(), spec.training().workers()).delay;
  return absl::StrCat(
      "At the end of step t every worker's own optimizer gets the averaged gradient of step t-",
      delay, ". The first ", delay == 1 ? "step ends" : absl::StrCat(delay, " steps end"),
      " without an update, and what is still on its way is applied after the last step.");
}

}  // namespace

constexpr Scheme kDelayedScheme = {
    "delayed",
    "an all-reduce whose sum is applied one step later: hidden behind a whole step, one update "
    "stale",
    kArms,
    Resolve,
    Check,
    Traits,
    TrafficOf,
    Rule,
};

}  // namespace ringmaster
