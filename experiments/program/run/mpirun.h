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
  // EngineInfo::launcher: "mpirun", Open MPI's, or "mpiexec.hydra", MPICH's
  std::string launcher = "mpirun";
  int32_t ranks = 0;
  // What MPI carries bytes with, so that it is compared with its like: TCP sockets of the loopback
  // for "tcp" and "grpc", shared memory for "shm" and "auto".
  std::string transport;
  // Whether each of its all-reduce algorithms can be asked for, not only the one it chooses itself;
  // of Open MPI alone.
  bool all_algorithms = false;
};

// The launcher of an MPI, which starts this very program once a rank, on this machine, with
// `arguments` and `environment`; a rank finds its number in the environment that the launcher gives
// it. More ranks than cores are allowed, and none is bound to a core. When a rank is killed the
// launcher ends the others. NotFound: the launcher is not on the PATH; the text says what to
// install.
absl::StatusOr<ChildProgram> Mpirun(const MpirunOptions& options,
                                    const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& environment);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MPIRUN_H_
