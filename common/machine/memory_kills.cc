#include "common/machine/memory_kills.h"

#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ringmaster {
namespace {

bool Exists(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

std::string BytesText(int64_t bytes) {
  return bytes >= (int64_t{1} << 30)
             ? absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / (1 << 30))
             : absl::StrFormat("%.0f MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

MemoryKills::MemoryKills(const ControlGroupMounts& mounts) : mounts_(mounts) {
  for (const ControlGroup& group : GroupsAround("memory", mounts)) {
    const std::string file =
        absl::StrCat(group.folder, group.version == 2 ? "/memory.events" : "/memory.oom_control");
    if (!Exists(file)) continue;
    count_file_ = file;
    break;
  }
  before_ = Read();
}

int64_t MemoryKills::Read() const {
  if (count_file_.empty()) return 0;
  std::ifstream file(count_file_);
  std::string name;
  int64_t count = 0;
  while (file >> name >> count) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

std::string MemoryKills::LimitText() const {
  const ControlLimits limits = ReadControlLimits(mounts_);
  if (!limits.memory_bytes)
    return "which has no memory limit of its own: the machine's memory ran out";
  return absl::StrCat("whose memory limit is ", BytesText(*limits.memory_bytes), " (",
                      limits.memory_file,
                      "): raise it, or train with fewer ranks or a smaller batch");
}

std::string MemoryKills::Found() const {
  const int64_t killed = Read() - before_;
  if (killed <= 0) return "";
  return absl::StrCat("out of memory: oom_kill rose by ", killed, " in this control group, ",
                      LimitText());
}

}  // namespace ringmaster
