#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MPIRUN_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MPIRUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "experiments/program/run/children.h"

namespace ringmaster {

struct MpirunOptions {
  int32_t ranks = 0;
  // What Open MPI carries bytes with, so that it is compared with its like: TCP sockets of the
  // loopback for "tcp" and "grpc", shared memory for "shm" and "auto".
  std::string transport;
  // Whether each of its all-reduce algorithms can be asked for, not only the one it chooses itself.
  bool all_algorithms = false;
};

// Open MPI's mpirun, which starts this very program once a rank, on this machine, with `arguments`
// and `environment`; a rank finds its number in the environment that mpirun gives it. More ranks
// than cores are allowed, and none is bound to a core. When a rank dies mpirun ends the others.
// NotFound: there is no mpirun on the PATH; the text says what to install.
absl::StatusOr<ChildProgram> Mpirun(const MpirunOptions& options,
                                    const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& environment);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MPIRUN_H_
