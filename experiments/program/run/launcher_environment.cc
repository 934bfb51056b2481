#include "experiments/program/run/launcher_environment.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/config/resolve.h"

namespace ringmaster {
namespace {

// Which launcher sets which variables. A flag (--rank, --world-size, --device) wins over all of
// them. Launchers start launchers: Slurm and Kubernetes start mpirun, hydra and torchrun on the
// machines of a job, whose processes inherit the outer ones' variables, and those number machines,
// not ranks. So the inner launcher wins. Of two at the same depth none does: nobody can know which
// is left over.
struct Launcher {
  const char* name;
  const char* variables[3];  // by LauncherNumber; null: it does not say that
  // Whether it has started this process, where its variables are set.
  bool (*is_it)();
  const char* why_not;  // where it has not
  int depth;            // of those that are inside others the largest
};

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

bool IsSet(const char* name) { return Variable(name).has_value(); }

bool Always() { return true; }
bool IsTorchrun() { return IsSet("TORCHELASTIC_RUN_ID"); }
bool IsNotTorchrun() { return !IsTorchrun(); }
bool IsHydra() { return IsSet("MPI_LOCALRANKID"); }
bool IsNotHydra() { return !IsHydra(); }
// Of a batch script they say what they say of rank 0.
bool IsStep() { return IsSet("SLURM_STEP_ID"); }
bool Never() { return false; }

// RANK by hand or by an image stands at every depth: whom it contradicts nobody can know.
constexpr int kAnyDepth = -1;
constexpr int kInJob = 0, kInStep = 1, kInLauncher = 2;

constexpr Launcher kMpirun = {
    "Open MPI's mpirun",
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    Always,
    "",
    kInLauncher};
constexpr Launcher kHydra = {"MPICH's or Intel MPI's mpiexec.hydra",
                             {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
                             IsHydra,
                             nullptr,
                             kInLauncher};
constexpr Launcher kLaunchers[] = {
    {"torchrun", {"RANK", "WORLD_SIZE", "LOCAL_RANK"}, IsTorchrun, nullptr, kInLauncher},
    {"whoever sets RANK", {"RANK", "WORLD_SIZE", "LOCAL_RANK"}, IsNotTorchrun, nullptr, kAnyDepth},
    kMpirun,
    kHydra,
    {"a launcher that speaks PMI", {"PMI_RANK", "PMI_SIZE", nullptr}, IsNotHydra, nullptr, kInStep},
    {"Slurm's srun",
     {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
     IsStep,
     "a batch script has it too, and no SLURM_STEP_ID; start the ranks with srun",
     kInStep},
    {"Kubernetes' Indexed Job",
     {"JOB_COMPLETION_INDEX", nullptr, nullptr},
     Always,
     nullptr,
     kInJob},
    // Every PMIx launcher has this one, and no size beside it.
    {"PMIx", {"PMIX_RANK", nullptr, nullptr}, Never, "no size stands beside it", kInStep},
};
constexpr const char* kFlags[3] = {"--rank", "--world-size", "--device"};

constexpr int kPortMax = 65535;

absl::StatusOr<std::optional<int>> Number(const char* name,
                                          int largest = std::numeric_limits<int>::max()) {
  const std::optional<std::string> text = Variable(name);
  if (!text) return std::optional<int>();
  int value = 0;
  if (!absl::SimpleAtoi(*text, &value) || value < 0 || value > largest) {
    return absl::InvalidArgumentError(absl::StrCat("environment variable ", name, "=\"", *text,
                                                   "\": expected a number from 0 to ", largest));
  }
  return std::optional<int>(value);
}

// Those of `launchers` that say `what` of this process, and of them the innermost.
std::vector<const Launcher*> Innermost(absl::Span<const Launcher> launchers, int what) {
  std::vector<const Launcher*> speak;
  int depth = kInJob;
  for (const Launcher& launcher : launchers) {
    const char* const variable = launcher.variables[what];
    if (variable == nullptr || !IsSet(variable) || !launcher.is_it()) continue;
    speak.push_back(&launcher);
    depth = std::max(depth, launcher.depth);
  }
  const auto is_outer = [depth](const Launcher* launcher) {
    return launcher->depth != kAnyDepth && launcher->depth < depth;
  };
  speak.erase(std::remove_if(speak.begin(), speak.end(), is_outer), speak.end());
  return speak;
}

absl::StatusOr<std::optional<LauncherWord>> ReadFrom(absl::Span<const Launcher> launchers,
                                                     LauncherNumber number) {
  const int what = static_cast<int>(number);
  std::optional<LauncherWord> found;
  for (const Launcher* launcher : Innermost(launchers, what)) {
    const char* const variable = launcher->variables[what];
    RM_ASSIGN_OR_RETURN(const std::optional<int> value, Number(variable));
    if (found && found->value != *value) {
      return absl::InvalidArgumentError(absl::StrCat(
          "environment variables contradict each other: ", found->variable, "=", found->value,
          " (of ", found->launcher, ") and ", variable, "=", *value, " (of ", launcher->name,
          "); unset the one that is left over from elsewhere, or give ", kFlags[what]));
    }
    if (!found) found = LauncherWord{*value, variable, launcher->name};
  }
  return found;
}

}  // namespace

Environment ReadEnvironment() {
  return {Variable(kTokenVariable),
          DefaultDataDir(Variable("XDG_CACHE_HOME").value_or(""), Variable("HOME").value_or("")),
          Variable("PATH").value_or(""), Variable(kTlsVariable)};
}

std::vector<std::string> TakeSessionWords() {
  const std::optional<std::string> words = Variable(kSessionVariable);
  if (!words.has_value()) return {};
  unsetenv(kSessionVariable);
  return absl::StrSplit(*words, '\n');
}

std::vector<std::string> ProgramSettings(const ProgramPlaces& places) {
  std::vector<std::string> settings;
  for (const char* threads : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}) {
    if (!IsSet(threads)) settings.push_back(absl::StrCat(threads, "=1"));
  }
  if (!places.library.empty() && !IsSet("RINGMASTER_LIBRARY"))
    settings.push_back(absl::StrCat("RINGMASTER_LIBRARY=", places.library));
  if (places.python_folder.empty()) return settings;
  const std::optional<std::string> others = Variable("PYTHONPATH");
  settings.push_back(
      absl::StrCat("PYTHONPATH=", places.python_folder, others ? ":" : "", others.value_or("")));
  return settings;
}

void SetTlsFolder(const std::string& folder) { setenv(kTlsVariable, folder.c_str(), 1); }

absl::StatusOr<std::optional<LauncherWord>> ReadFromLauncher(LauncherNumber what) {
  return ReadFrom(kLaunchers, what);
}

absl::StatusOr<std::optional<LauncherWord>> ReadFromMpirun(LauncherNumber what) {
  return ReadFrom({kMpirun, kHydra}, what);
}

std::vector<std::string> NotTaken(LauncherNumber number) {
  const int what = static_cast<int>(number);
  const std::vector<const Launcher*> taken = Innermost(kLaunchers, what);
  std::vector<std::string> lines;
  for (const Launcher& launcher : kLaunchers) {
    const char* const variable = launcher.variables[what];
    if (variable == nullptr || !IsSet(variable)) continue;
    if (std::find(taken.begin(), taken.end(), &launcher) != taken.end()) continue;
    const bool is_it = launcher.is_it();
    // The same variable counts for another.
    if (!is_it && launcher.why_not == nullptr) continue;
    lines.push_back(
        absl::StrCat(variable, "=", *Variable(variable), " (",
                     is_it ? absl::StrCat("of ", launcher.name, ", which has started the launcher")
                           : launcher.why_not,
                     ")"));
  }
  return lines;
}

absl::StatusOr<std::optional<ArrayTask>> ReadArrayTask() {
  constexpr char kId[] = "SLURM_ARRAY_TASK_ID", kCount[] = "SLURM_ARRAY_TASK_COUNT",
                 kMin[] = "SLURM_ARRAY_TASK_MIN", kStep[] = "SLURM_ARRAY_TASK_STEP";
  RM_ASSIGN_OR_RETURN(const std::optional<int> id, Number(kId));
  RM_ASSIGN_OR_RETURN(const std::optional<int> count, Number(kCount));
  if (!id.has_value()) return std::optional<ArrayTask>();
  if (!count.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("environment variable ", kId, "=", *id,
                                                   " is set and ", kCount,
                                                   " is not; set both, or give --shard I/N"));
  }
  RM_ASSIGN_OR_RETURN(const std::optional<int> first, Number(kMin));
  RM_ASSIGN_OR_RETURN(const std::optional<int> step, Number(kStep));
  const int min = first.value_or(0), each = step.value_or(1);
  const bool is_even = *id >= min && each > 0 && (*id - min) % each == 0;
  const int index = is_even ? (*id - min) / each : 0;
  if (!is_even || index >= *count) {
    return absl::InvalidArgumentError(absl::StrCat(
        "environment variables ", kId, "=", *id, ", ", kMin, "=", min, ", ", kStep, "=", each,
        " and ", kCount, "=", *count,
        ": the ids of this array job do not go up evenly; give --shard I/N, or leave --shard out: "
        "tasks with one folder share its runs all the same"));
  }
  return std::optional<ArrayTask>(ArrayTask{index, *count});
}

absl::StatusOr<std::optional<HostPort>> ReadCoordinator() {
  const std::optional<std::string> address = Variable("MASTER_ADDR");
  const std::optional<std::string> port_text = Variable("MASTER_PORT");
  if (!address && !port_text) return std::optional<HostPort>();
  if (port_text && absl::StrContains(*port_text, "://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("environment variable MASTER_PORT=\"", *port_text,
                     "\" is Kubernetes' own, for the Service named \"master\", and no port that a "
                     "launcher has set; set enableServiceLinks: false in the pod's spec, or give "
                     "--coordinator HOST:PORT"));
  }
  if (!address || !port_text) {
    return absl::InvalidArgumentError(absl::StrCat(
        "environment variable ", address ? "MASTER_ADDR" : "MASTER_PORT", "=\"",
        address ? *address : *port_text, "\" is set and ", address ? "MASTER_PORT" : "MASTER_ADDR",
        " is not; set both, or give --coordinator HOST:PORT"));
  }
  RM_ASSIGN_OR_RETURN(const std::optional<int> port,
                      Number("MASTER_PORT", AgentHasMasterPort() ? kPortMax - 1 : kPortMax));
  const std::string host = WithoutBrackets(*address);
  if (absl::StrContains(host, ':') && !IsNumericAddress(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("environment variable MASTER_ADDR=\"", *address,
                     "\": expected a name or an address without a port"));
  }
  return std::optional<HostPort>(HostPort{host, AgentHasMasterPort() ? *port + 1 : *port});
}

bool AgentHasMasterPort() {
  return Variable("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
}

std::string WhyMasterPortMayBeTaken() {
  if (!Variable("TORCHELASTIC_RUN_ID")) return "";
  return "torchrun's agent itself listens at MASTER_ADDR:MASTER_PORT (TORCHELASTIC_RUN_ID is set): "
         "give every rank --coordinator HOST:PORT with a free port, or start torchrun with "
         "--standalone";
}

}  // namespace ringmaster
