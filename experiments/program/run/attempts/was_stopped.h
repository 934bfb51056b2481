#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_WAS_STOPPED_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_WAS_STOPPED_H_

#include "absl/status/status.h"

namespace ringmaster {

// Whether a run that ended as `status` says was stopped by nothing of its own, so that it may
// succeed when it is made again (RunRecord.stopped): a signal of somebody else ended it or one of
// its processes, memory or the disk was full, a host or a connection was lost, a rank never joined.
// A run has failed, and was not stopped, where it diverged, was refused or did not pass a check, or
// where a process ended by itself: with an exit code, or by a signal that its own mistakes send.
// `status` is a run's as RunArm and the coordinator give it: DESIGN.md, "Causes", has its words.
// Losses that somebody asked for (--fault) look like others: do not ask of such a run. Pure,
// thread-safe.
bool WasStopped(const absl::Status& status);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_WAS_STOPPED_H_
