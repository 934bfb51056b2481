#ifndef RINGMASTER_EXPERIMENTS_LAUNCH_LAUNCHER_ENVIRONMENT_H_
#define RINGMASTER_EXPERIMENTS_LAUNCH_LAUNCHER_ENVIRONMENT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace ringmaster {

// The variable that carries a job's token to its processes: unlike an argument, other users cannot read it.
inline constexpr char kTokenVariable[] = "RINGMASTER_TOKEN";

// What a launcher's environment says; absent where it says nothing. The only place where it is read.
struct LauncherEnvironment {
  std::optional<int> rank;          // RANK, else mpirun's OMPI_COMM_WORLD_RANK
  std::optional<int> world_size;    // WORLD_SIZE, else OMPI_COMM_WORLD_SIZE
  std::optional<int> local_rank;    // LOCAL_RANK, else OMPI_COMM_WORLD_LOCAL_RANK
  std::optional<std::string> coordinator;  // MASTER_ADDR:MASTER_PORT
  std::optional<std::string> token;        // RINGMASTER_TOKEN
  std::string default_data_dir;     // from XDG_CACHE_HOME and HOME
  std::string search_path;          // PATH: where programs are looked for
};

// InvalidArgument names a variable that is no number.
absl::StatusOr<LauncherEnvironment> ReadLauncherEnvironment();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_LAUNCH_LAUNCHER_ENVIRONMENT_H_
