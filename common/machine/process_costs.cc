#include "common/machine/process_costs.h"

#include <sys/resource.h>

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace ringmaster {
namespace {

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// The size in "NAME:   1234 kB", in bytes; absent where the file has no such line.
std::optional<int64_t> ReadSize(const std::string& path, absl::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, name) || !absl::ConsumePrefix(&rest, ":") ||
        !absl::ConsumeSuffix(&rest, " kB"))
      continue;
    int64_t kilobytes = 0;
    if (absl::SimpleAtoi(rest, &kilobytes)) return kilobytes * 1024;
  }
  return std::nullopt;
}

}  // namespace

double ProcessCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime);
}

std::optional<int64_t> ProcessPssBytes(const std::string& proc) {
  return ReadSize(proc + "/self/smaps_rollup", "Pss");
}

std::optional<int64_t> ProcessPeakRssBytes(const std::string& proc) {
  return ReadSize(proc + "/self/status", "VmHWM");
}

}  // namespace ringmaster
