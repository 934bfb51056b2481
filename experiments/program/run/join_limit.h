#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOIN_LIMIT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOIN_LIMIT_H_

#include "absl/time/time.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// How long the processes of `spec` may take to join: limits.join_seconds; where it is left out a
// minute, or 10 s for each process per core of this machine, if that is more.
absl::Duration JoinLimit(const RunSpec& spec);

// The same for a machine with `cores` cores.
absl::Duration JoinLimitOn(int cores, const RunSpec& spec);

// A process that is still starting, as far as can be seen, is waited for this many times as long.
inline constexpr int kStartingFactor = 5;

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOIN_LIMIT_H_
