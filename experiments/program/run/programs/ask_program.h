#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_ASK_PROGRAM_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_ASK_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "experiments/program/run/programs/description.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// How long a program may take until it opens its session, where nobody says otherwise: libraries
// are loaded, data is read, a model is made.
inline constexpr absl::Duration kAskLimit = absl::Minutes(5);

// Starts the command once, with an environment in which the session that it opens describes itself
// and ends the process. What it prints goes to standard error.
//   limit: limits.join_seconds, or kAskLimit.
// InvalidArgument: it ended without opening a session, and how; DeadlineExceeded: it did not open
// one in time, and was ended; NotFound: there is no such program.
absl::StatusOr<ProgramDescription> AskProgram(const std::vector<std::string>& command,
                                              absl::Duration limit);

// Asks the program of `spec`, which is not resolved, what it trains, and fills in what the spec
// leaves out: tensors, samples, and the weights that all ranks and servers start from, in a file
// below `out` whose name is that of its content. What the spec does say must be what the program
// says (CheckDescription). Nothing is asked where nothing is left out. REQUIRES: a command.
absl::Status CompleteProgram(const std::string& out, RunSpec* spec);

// Leaves these weights in such a file, as those that `spec`, which has tensors, starts from.
// InvalidArgument: they are not of the tensors' size; else AtomicFile's errors.
absl::Status KeepProgramWeights(const std::string& out, absl::Span<const float> weights,
                                RunSpec* spec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_ASK_PROGRAM_H_
