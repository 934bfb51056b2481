#include "experiments/program/run/join_limit.h"

#include <algorithm>

#include "common/machine/machine.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kJoinLimitMin = absl::Seconds(60);
constexpr absl::Duration kPerProcessOfACore = absl::Seconds(10);

}  // namespace

absl::Duration JoinLimitOn(int cores, const RunSpec& spec) {
  if (spec.limits().has_join_seconds()) return absl::Seconds(spec.limits().join_seconds());
  return std::max(kJoinLimitMin,
                  kPerProcessOfACore * TraitsOf(spec).processes / std::max(1, cores));
}

absl::Duration JoinLimit(const RunSpec& spec) {
  return JoinLimitOn(DescribeMachine().cores(), spec);
}

}  // namespace ringmaster
