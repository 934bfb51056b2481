#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOIN_LIMIT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOIN_LIMIT_H_

#include <algorithm>

#include "absl/time/time.h"
#include "common/machine/machine.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// JoinLimit for a machine with `cores` cores.
inline absl::Duration JoinLimitOn(int cores, const RunSpec& spec) {
  constexpr absl::Duration kLeast = absl::Seconds(60);
  constexpr absl::Duration kPerProcessOfACore = absl::Seconds(10);
  if (spec.limits().has_join_seconds()) return absl::Seconds(spec.limits().join_seconds());
  return std::max(kLeast, kPerProcessOfACore * TraitsOf(spec).processes / std::max(1, cores));
}

// How long the processes of `spec` may take to join: limits.join_seconds; where it is left out a
// minute, or 10 s for each process per core of this machine, if that is more.
inline absl::Duration JoinLimit(const RunSpec& spec) {
  return JoinLimitOn(DescribeMachine().cores(), spec);
}

// A process that is still starting, as far as can be seen, is waited for this many times as long.
inline constexpr int kStartingFactor = 5;

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOIN_LIMIT_H_
