#include "experiments/program/run/launcher_environment.h"

#include <cstdlib>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/config/resolve.h"

namespace ringmaster {
namespace {

// Which launcher sets which variables. A flag (--rank, --world-size, --device) wins over all of
// them. Where several are set they must agree: none wins over another, since nobody can know which
// is left over from an outer launcher.
struct Launcher {
  const char* name;
  const char* variables[3];  // by LauncherNumber
};
constexpr Launcher kTorchrun = {"torchrun and its like", {"RANK", "WORLD_SIZE", "LOCAL_RANK"}};
constexpr Launcher kMpirun = {
    "Open MPI's mpirun",
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"}};
constexpr Launcher kLaunchers[] = {kTorchrun, kMpirun};
constexpr const char* kFlags[3] = {"--rank", "--world-size", "--device"};

constexpr int kPortMax = 65535;

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

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

absl::StatusOr<std::optional<int>> ReadFrom(absl::Span<const Launcher> launchers,
                                            LauncherNumber what) {
  const int index = static_cast<int>(what);
  std::optional<int> found;
  const Launcher* first = nullptr;
  for (const Launcher& launcher : launchers) {
    RM_ASSIGN_OR_RETURN(const std::optional<int> value, Number(launcher.variables[index]));
    if (!value) continue;
    if (found && *found != *value) {
      return absl::InvalidArgumentError(absl::StrCat(
          "environment variables contradict each other: ", first->variables[index], "=", *found,
          " (of ", first->name, ") and ", launcher.variables[index], "=", *value, " (of ",
          launcher.name, "); unset the one that is left over from elsewhere, or give ",
          kFlags[index]));
    }
    if (!found) first = &launcher;
    found = value;
  }
  return found;
}

}  // namespace

Environment ReadEnvironment() {
  return {Variable(kTokenVariable),
          DefaultDataDir(Variable("XDG_CACHE_HOME").value_or(""), Variable("HOME").value_or("")),
          Variable("PATH").value_or(""), Variable(kTlsVariable)};
}

void SetTlsFolder(const std::string& folder) { setenv(kTlsVariable, folder.c_str(), 1); }

absl::StatusOr<std::optional<int>> ReadFromLauncher(LauncherNumber what) {
  return ReadFrom(kLaunchers, what);
}

absl::StatusOr<std::optional<int>> ReadFromMpirun(LauncherNumber what) {
  return ReadFrom({kMpirun}, what);
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
  RM_ASSIGN_OR_RETURN(const std::optional<int> port, Number("MASTER_PORT", kPortMax));
  const std::string host = WithoutBrackets(*address);
  if (absl::StrContains(host, ':') && !IsNumericAddress(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("environment variable MASTER_ADDR=\"", *address,
                     "\": expected a name or an address without a port"));
  }
  return std::optional<HostPort>(HostPort{host, *port});
}

std::string WhyMasterPortMayBeTaken() {
  if (!Variable("TORCHELASTIC_RUN_ID")) return "";
  return "torchrun's agent itself listens at MASTER_ADDR:MASTER_PORT (TORCHELASTIC_RUN_ID is set): "
         "give every rank --coordinator HOST:PORT with a free port, or start torchrun with "
         "--standalone";
}

}  // namespace ringmaster
