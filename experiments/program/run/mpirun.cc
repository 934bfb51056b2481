#include "experiments/program/run/mpirun.h"

#include <limits.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "experiments/program/run/launcher_environment.h"

namespace ringmaster {
namespace {

absl::StatusOr<std::string> FindMpirun() {
  const std::string search_path = ReadEnvironment().search_path;
  for (const absl::string_view folder : absl::StrSplit(search_path, ':', absl::SkipEmpty())) {
    const std::string path = absl::StrCat(folder, "/mpirun");
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::NotFoundError(
      absl::StrCat("mpirun, which starts the ranks of \"mpi\", is not on the PATH (", search_path,
                   "); install openmpi-bin"));
}

// This program's own file: what /proc/self/exe means to mpirun is mpirun.
std::string OwnPath() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  return length <= 0 ? std::string() : std::string(path, static_cast<size_t>(length));
}

}  // namespace

absl::StatusOr<ChildProgram> Mpirun(const MpirunOptions& options,
                                    const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& environment) {
  ChildProgram program;
  RM_ASSIGN_OR_RETURN(program.path, FindMpirun());
  program.arguments = {"-q",        "-n",  absl::StrCat(options.ranks), "--oversubscribe",
                       "--bind-to", "none"};
  if (geteuid() == 0) program.arguments.push_back("--allow-run-as-root");
  program.arguments.push_back(OwnPath());
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  program.environment = environment;
  program.death_signal = SIGTERM;  // upon which it ends its ranks and removes its files
  const bool sockets = options.transport == "tcp" || options.transport == "grpc";
  // ob1 is the layer above the byte transfer layers (btl); others bring transports of their own.
  program.environment.push_back("OMPI_MCA_pml=ob1");
  program.environment.push_back(sockets ? "OMPI_MCA_btl=self,tcp" : "OMPI_MCA_btl=self,vader");
  program.environment.push_back("OMPI_MCA_btl_tcp_if_include=lo");
  if (options.all_algorithms)
    program.environment.push_back("OMPI_MCA_coll_tuned_use_dynamic_rules=1");
  return program;
}

}  // namespace ringmaster
