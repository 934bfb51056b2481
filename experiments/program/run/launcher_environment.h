#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LAUNCHER_ENVIRONMENT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LAUNCHER_ENVIRONMENT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/host_port.h"

namespace ringmaster {

// The only place where environment variables are read. What a launcher says is read by whoever
// needs it, when he needs it, and only where no flag says it: a variable that nobody asks for is
// never judged.

// The variable that carries a job's token to its processes: unlike an argument, other users cannot
// read it.
inline constexpr char kTokenVariable[] = "RINGMASTER_TOKEN";

// The variable that says where a job's certificates are (`ringmaster keygen`).
inline constexpr char kTlsVariable[] = "RINGMASTER_TLS_DIR";

// The variable that tells a program of the user's which session to open: words, a line each. The
// first is "node", and behind it stands what `ringmaster node` would get; or kDescribeWord, and
// behind it the file to which the program is to describe itself.
inline constexpr char kSessionVariable[] = "RINGMASTER_SESSION";
inline constexpr char kDescribeWord[] = "describe";

// These words; none where no launcher has started this process. They are gone from the environment
// then: what the program starts is no rank.
std::vector<std::string> TakeSessionWords();

// Where this program has what programs of the user's need; empty: it has not.
struct ProgramPlaces {
  std::string library;        // libringmaster.so
  std::string python_folder;  // with the package in it
};

// The settings ("NAME=value") for a program of the user's, by which it finds these places
// (RINGMASTER_LIBRARY, PYTHONPATH) and computes with one thread. What the user has set stays.
std::vector<std::string> ProgramSettings(const ProgramPlaces& places);

// What any command may need; nothing of it is ever wrong.
struct Environment {
  std::optional<std::string> token;       // RINGMASTER_TOKEN
  std::string default_data_dir;           // from XDG_CACHE_HOME and HOME
  std::string search_path;                // PATH: where programs are looked for
  std::optional<std::string> tls_folder;  // RINGMASTER_TLS_DIR
};
Environment ReadEnvironment();

// A flag names the folder of certificates: ReadEnvironment says so from here on, in this process
// and in those that it starts. While there is one thread.
void SetTlsFolder(const std::string& folder);

// A number that launchers give to each process they start. The local rank is the process's number
// on its machine.
enum class LauncherNumber { kRank, kWorldSize, kLocalRank };
inline constexpr LauncherNumber kLauncherNumbers[] = {
    LauncherNumber::kRank, LauncherNumber::kWorldSize, LauncherNumber::kLocalRank};

struct LauncherWord {
  int value = 0;
  std::string variable;  // that says it
  std::string launcher;  // whose it is
};

// What the launcher says that has started this process; absent where none has, or it does not say
// that. Where launchers have started launchers the innermost counts (the table in the .cc file).
// InvalidArgument: a value is no number, or two that neither is inside the other contradict each
// other; both variables are named with their values.
absl::StatusOr<std::optional<LauncherWord>> ReadFromLauncher(LauncherNumber what);

// What Open MPI's mpirun or MPICH's mpiexec.hydra alone says, for a rank whose leader has started
// the launcher itself.
absl::StatusOr<std::optional<LauncherWord>> ReadFromMpirun(LauncherNumber what);

// The variables of launchers that are set and do not count for `what`, each with its value and why:
// "SLURM_PROCID=0 (a batch script has it too: start ranks with srun)".
std::vector<std::string> NotTaken(LauncherNumber what);

// A task of an array job: of `count` tasks that run one script the one with that index, from 0.
struct ArrayTask {
  int index = 0;
  int count = 1;
};

// Which task of Slurm's array job this process belongs to (SLURM_ARRAY_TASK_ID, _COUNT, _MIN, and
// _STEP where the ids go up by more than 1); absent: to none. InvalidArgument: a value is no
// number, or the ids do not go up evenly (--array=1,5,6), so that they are nobody's share; the
// variables are named.
absl::StatusOr<std::optional<ArrayTask>> ReadArrayTask();

// MASTER_ADDR and MASTER_PORT; absent where neither is set. InvalidArgument: only one of them is,
// or the port is no number. The MASTER_PORT that Kubernetes gives every pod beside a Service named
// "master" is named as Kubernetes' own. Where torchrun's agent listens there itself
// (TORCHELASTIC_USE_AGENT_STORE is True, the same on every rank), the port after it.
absl::StatusOr<std::optional<HostPort>> ReadCoordinator();

// Whether ReadCoordinator's port is not MASTER_PORT itself: torchrun's agent has that.
bool AgentHasMasterPort();

// What to add where MASTER_PORT turns out to be taken: torchrun's agent may hold it itself. Empty:
// no torchrun.
std::string WhyMasterPortMayBeTaken();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LAUNCHER_ENVIRONMENT_H_
