#include "common/machine/control_groups.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ringmaster {
namespace {

// Version 1 writes "no limit" as the largest multiple of the page size.
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max() / 2;

bool IsFolder(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// The path of this process's group in the hierarchy of `controller` ("": that of version 2), "" for
// its root; and where it is not said, or lies outside of what this process can see.
std::string GroupOf(const std::string& proc, const std::string& controller) {
  std::ifstream file(proc + "/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<std::string> names = absl::StrSplit(fields[1], ',');
    if (std::find(names.begin(), names.end(), controller) == names.end()) continue;
    return fields[2] == "/" || absl::StartsWith(fields[2], "/..") ? "" : fields[2];
  }
  return "";
}

// The group's quota in cores; absent: it has none.
std::optional<double> QuotaOf(const ControlGroup& group, std::string* path) {
  double quota = 0, period = 0;
  if (group.version == 2) {
    *path = group.folder + "/cpu.max";  // "50000 100000", or "max 100000"
    std::ifstream(*path) >> quota >> period;
  } else {
    *path = group.folder + "/cpu.cfs_quota_us";  // -1: none
    std::ifstream(*path) >> quota;
    std::ifstream(group.folder + "/cpu.cfs_period_us") >> period;
  }
  if (!(quota > 0 && period > 0)) return std::nullopt;
  return quota / period;
}

}  // namespace

std::vector<ControlGroup> GroupsAround(const std::string& controller,
                                       const ControlGroupMounts& mounts) {
  struct Hierarchy {
    std::string controller, root;
    int version;
  };
  std::vector<ControlGroup> groups;
  for (const Hierarchy& way :
       {Hierarchy{"", mounts.cgroups, 2}, Hierarchy{"", mounts.cgroups + "/unified", 2},
        Hierarchy{controller, mounts.cgroups + "/" + controller, 1}}) {
    if (!IsFolder(way.root)) continue;
    std::string group = GroupOf(mounts.proc, way.controller);
    if (!IsFolder(way.root + group)) group.clear();
    for (;; group = group.substr(0, group.rfind('/'))) {
      groups.push_back({way.root + group, way.version});
      if (group.empty()) break;
    }
  }
  return groups;
}

ControlLimits ReadControlLimits(const ControlGroupMounts& mounts) {
  ControlLimits limits;
  for (const ControlGroup& group : GroupsAround("cpu", mounts)) {
    std::string path;
    const std::optional<double> quota = QuotaOf(group, &path);
    if (!quota || (limits.cpu_quota && *limits.cpu_quota <= *quota)) continue;
    limits.cpu_quota = quota;
    limits.cpu_file = path;
    limits.cpu_group = group;
  }
  for (const ControlGroup& group : GroupsAround("memory", mounts)) {
    const std::string path =
        absl::StrCat(group.folder, group.version == 2 ? "/memory.max" : "/memory.limit_in_bytes");
    int64_t bytes = 0;  // "max": none
    std::ifstream file(path);
    if (!(file >> bytes) || bytes >= limits.memory_bytes.value_or(kNoLimit)) continue;
    limits.memory_bytes = bytes;
    limits.memory_file = path;
  }
  return limits;
}

Throttling ReadThrottling(const ControlGroup& group) {
  Throttling throttling;
  std::ifstream file(group.folder + "/cpu.stat");
  std::string name;
  int64_t value = 0;
  while (file >> name >> value) {
    if (name == "nr_periods") throttling.periods = value;
    if (name == "nr_throttled") throttling.throttled = value;
    if (name == "throttled_usec") throttling.seconds = 1e-6 * static_cast<double>(value);
    if (name == "throttled_time") throttling.seconds = 1e-9 * static_cast<double>(value);
  }
  return throttling;
}

}  // namespace ringmaster
