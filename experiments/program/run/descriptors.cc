#include "experiments/program/run/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// The one that leads has a connection and up to two more descriptors of gRPC a process, a rank up
// to two a peer over grpc; and each about a dozen of standard streams, files, event queues and
// listeners.
constexpr int64_t kDescriptorsEachProcess = 3;
constexpr int64_t kDescriptorsAnyway = 24;

// Some programs, mpirun among them, close every number below the limit before they start another.
constexpr rlim_t kLimitMax = 1 << 16;

}  // namespace

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
      limit.rlim_cur >= std::min(limit.rlim_max, kLimitMax))
    return;
  limit.rlim_cur = std::min(limit.rlim_max, kLimitMax);
  setrlimit(RLIMIT_NOFILE, &limit);
}

int64_t DescriptorsNeeded(int32_t processes) {
  return kDescriptorsAnyway + kDescriptorsEachProcess * processes;
}

std::optional<int64_t> DescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<int64_t>(limit.rlim_cur);
}

absl::Status CheckDescriptors(int32_t processes) {
  const int64_t needed = DescriptorsNeeded(processes);
  const std::optional<int64_t> limit = DescriptorLimit();
  if (!limit.has_value() || *limit >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("too few open files: with ", processes, " processes each needs up to ", needed,
                   ", this process's limit is ", *limit,
                   " (ulimit -n, RLIMIT_NOFILE); raise it, or take fewer workers and servers"));
}

}  // namespace ringmaster
