#include "common/machine/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/fingerprint.h"
#include "common/machine/confinement.h"
#include "common/machine/host_identity.h"

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

}  // namespace

void SetUsableCores(absl::Span<const Confinement> processes, Machine* machine) {
  const UsableCores usable = CountCores(processes);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  machine->set_cores(usable.cores > 0 ? usable.cores : static_cast<int32_t>(std::max(0L, online)));
  machine->set_cpus(usable.cpus);
  machine->clear_cpu_quota();
  if (usable.quota) machine->set_cpu_quota(*usable.quota);
}

Machine DescribeMachine() {
  Machine machine;
  machine.set_cpu(CpuModel());
  const Confinement own = ConfinementMeter().End();
  SetUsableCores({own}, &machine);
  if (own.has_memory_limit_bytes()) machine.set_memory_limit_bytes(own.memory_limit_bytes());
  machine.set_boot_hash(own.boot_hash());
  machine.set_machine_hash(ReadMachineHash());
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
