#include "experiments/launch/launcher_environment.h"

#include <cstdlib>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/resolve.h"

namespace ringmaster {
namespace {

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

absl::StatusOr<std::optional<int>> Number(const char* name, int largest = std::numeric_limits<int>::max()) {
  const std::optional<std::string> text = Variable(name);
  if (!text) return std::optional<int>();
  int value = 0;
  if (!absl::SimpleAtoi(*text, &value) || value < 0 || value > largest) {
    return absl::InvalidArgumentError(
        absl::StrCat("environment variable ", name, "=\"", *text, "\": expected a number from 0 to ", largest));
  }
  return std::optional<int>(value);
}

// The first of two variables that is set.
absl::StatusOr<std::optional<int>> NumberOf(const char* name, const char* else_name) {
  return Variable(name) ? Number(name) : Number(else_name);
}

}  // namespace

absl::StatusOr<LauncherEnvironment> ReadLauncherEnvironment() {
  LauncherEnvironment environment;
  RM_ASSIGN_OR_RETURN(environment.rank, NumberOf("RANK", "OMPI_COMM_WORLD_RANK"));
  RM_ASSIGN_OR_RETURN(environment.world_size, NumberOf("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"));
  RM_ASSIGN_OR_RETURN(environment.local_rank, NumberOf("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"));
  const std::optional<std::string> address = Variable("MASTER_ADDR");
  RM_ASSIGN_OR_RETURN(const std::optional<int> port, Number("MASTER_PORT", 65535));
  if (address && port) {
    const bool bare_ipv6 = absl::StrContains(*address, ':') && !absl::StartsWith(*address, "[");
    environment.coordinator =
        bare_ipv6 ? absl::StrCat("[", *address, "]:", *port) : absl::StrCat(*address, ":", *port);
  }
  environment.token = Variable(kTokenVariable);
  environment.default_data_dir =
      DefaultDataDir(Variable("XDG_CACHE_HOME").value_or(""), Variable("HOME").value_or(""));
  environment.search_path = Variable("PATH").value_or("");
  return environment;
}

}  // namespace ringmaster
