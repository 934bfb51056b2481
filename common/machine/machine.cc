#include "common/machine/machine.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/fingerprint.h"

namespace ringmaster {
namespace {

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    const size_t colon = line.find(':');
    if (absl::StartsWith(line, "model name") && colon != std::string::npos) {
      std::string model(absl::StripAsciiWhitespace(absl::string_view(line).substr(colon + 1)));
      absl::RemoveExtraAsciiWhitespace(&model);
      return model;
    }
  }
  return "";
}

int32_t UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  // More cores than a cpu_set_t holds.
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<int32_t>(online) : 0;
}

}  // namespace

Machine DescribeMachine() {
  Machine machine;
  machine.set_cpu(CpuModel());
  machine.set_cores(UsableCores());
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0) machine.set_memory_bytes(pages * page_bytes);
  utsname names;
  if (uname(&names) == 0) {
    machine.set_host_hash(absl::StrFormat("%016x", Fingerprint64(names.nodename)));
    machine.set_kernel(absl::StrCat(names.sysname, " ", names.release));
  }
  return machine;
}

}  // namespace ringmaster
