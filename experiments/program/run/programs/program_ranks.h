#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_PROGRAM_RANKS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_PROGRAM_RANKS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "experiments/program/run/attempts/launched_processes.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Has the workers of `plan` be processes of the spec's program, where it has one. What each says
// goes to a file ARM.worker-RANK.log in the folder `outputs`, which is made; empty: to standard
// error. The system's errors.
absl::Status UseProgram(const RunSpec& spec, const std::string& outputs, LaunchPlan* plan);

// How long the program's processes may take to end once the run is over: after a good one they may
// have work of their own to do.
absl::Duration ProgramEndLimit(bool has_failed);

// What the rank that `status` names said last, a few lines with the name of their file; of several
// the first. Empty: it names none, or that one said nothing.
std::string LastOutput(const absl::Status& status, const LaunchPlan& plan);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_PROGRAM_RANKS_H_
