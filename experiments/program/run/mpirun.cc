#include "experiments/program/run/mpirun.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/machine/own_program.h"
#include "experiments/program/run/launcher_environment.h"

namespace ringmaster {
namespace {

constexpr char kOpenMpi[] = "mpirun", kMpich[] = "mpiexec.hydra";

// Debian's name of each, which another MPI's program of the same name does not hide, comes first.
absl::StatusOr<std::string> Find(const std::string& launcher) {
  const bool is_mpich = launcher == kMpich;
  const std::string search_path = ReadEnvironment().search_path;
  for (const std::string& name :
       is_mpich ? std::vector<std::string>{kMpich}
                : std::vector<std::string>{absl::StrCat(kOpenMpi, ".openmpi"), kOpenMpi}) {
    const std::string path = FindProgram(name, search_path);
    if (!path.empty()) return path;
  }
  return absl::NotFoundError(absl::StrCat(
      launcher, ", which starts the ranks of \"", is_mpich ? "mpich" : "mpi",
      "\", is not on the PATH (", search_path, "); install ", is_mpich ? "mpich" : "openmpi-bin"));
}

}  // namespace

absl::StatusOr<ChildProgram> Mpirun(const MpirunOptions& options,
                                    const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& environment) {
  ChildProgram program;
  const bool is_mpich = options.launcher == kMpich;
  RM_ASSIGN_OR_RETURN(program.path, Find(options.launcher));
  program.arguments = {"-n", absl::StrCat(options.ranks)};
  if (!is_mpich) {
    program.arguments.insert(program.arguments.end(), {"--oversubscribe", "--bind-to", "none"});
    if (geteuid() == 0) program.arguments.push_back("--allow-run-as-root");
  }
  program.arguments.push_back(OwnProgramPath());
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  program.environment = environment;
  program.death_signal = SIGTERM;  // upon which it ends its ranks and removes its files
  const bool sockets = options.transport == "tcp" || options.transport == "grpc";
  if (is_mpich) {
    program.environment.push_back(sockets ? "UCX_TLS=self,tcp" : "UCX_TLS=self,sm");
    program.environment.push_back("UCX_NET_DEVICES=lo");
    // One around this one says nothing of these ranks.
    program.environment.push_back("OMPI_COMM_WORLD_RANK=");
    return program;
  }
  program.environment.insert(program.environment.end(), {"PMI_RANK=", "MPI_LOCALRANKID="});
  // What -q stands for, which version 5 refuses as a flag (5.0.7) and does not need.
  program.environment.push_back("OMPI_MCA_orte_execute_quiet=1");
  // ob1 is the layer above the byte transfer layers (btl); others bring transports of their own.
  program.environment.push_back("OMPI_MCA_pml=ob1");
  program.environment.push_back(sockets ? "OMPI_MCA_btl=self,tcp" : "OMPI_MCA_btl=self,vader");
  program.environment.push_back("OMPI_MCA_btl_tcp_if_include=lo");
  if (options.all_algorithms)
    program.environment.push_back("OMPI_MCA_coll_tuned_use_dynamic_rules=1");
  return program;
}

}  // namespace ringmaster
