#include "common/machine/memory_kills.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace ringmaster {
namespace {

// Version 1 writes "no limit" as the largest multiple of the page size.
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max() / 2;

bool Exists(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

std::string BytesText(int64_t bytes) {
  return bytes >= (int64_t{1} << 30)
             ? absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / (1 << 30))
             : absl::StrFormat("%.0f MiB", static_cast<double>(bytes) / (1 << 20));
}

// The path of this process's group in the hierarchy of `controller` ("": that of version 2); "/"
// where it is not said.
std::string GroupOf(const std::string& proc, const std::string& controller) {
  std::ifstream file(proc + "/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<std::string> names = absl::StrSplit(fields[1], ',');
    if (std::find(names.begin(), names.end(), controller) != names.end()) return fields[2];
  }
  return "/";
}

}  // namespace

MemoryKills::MemoryKills(const std::string& proc, const std::string& cgroups) {
  struct Hierarchy {
    std::string controller, root, count_file, limit_file;
  };
  // A container often sees its group as the root of what is mounted, whatever its path is called
  // outside.
  for (const Hierarchy& way :
       {Hierarchy{"", cgroups, "memory.events", "memory.max"},
        Hierarchy{"", cgroups + "/unified", "memory.events", "memory.max"},
        Hierarchy{"memory", cgroups + "/memory", "memory.oom_control", "memory.limit_in_bytes"}}) {
    std::string group = GroupOf(proc, way.controller);
    for (const std::string& path : {group == "/" ? "" : group, std::string()}) {
      if (!count_file_.empty() || !Exists(absl::StrCat(way.root, path, "/", way.count_file)))
        continue;
      root_ = way.root;
      group_ = path;
      count_file_ = way.count_file;
      limit_file_ = way.limit_file;
    }
  }
  before_ = Read();
}

int64_t MemoryKills::Read() const {
  if (count_file_.empty()) return 0;
  std::ifstream file(absl::StrCat(root_, group_, "/", count_file_));
  std::string name;
  int64_t count = 0;
  while (file >> name >> count) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

std::string MemoryKills::LimitText() const {
  int64_t tightest = kNoLimit;
  std::string where;
  for (std::string group = group_;; group = group.substr(0, group.rfind('/'))) {
    const std::string path = absl::StrCat(root_, group, "/", limit_file_);
    std::ifstream file(path);
    int64_t bytes = 0;
    if (file >> bytes && bytes < tightest) {
      tightest = bytes;
      where = path;
    }
    if (group.empty()) break;
  }
  if (where.empty()) return "which has no memory limit of its own: the machine's memory ran out";
  return absl::StrCat("whose memory limit is ", BytesText(tightest), " (", where,
                      "): raise it, or train with fewer ranks or a smaller batch");
}

std::string MemoryKills::Found() const {
  const int64_t killed = Read() - before_;
  if (killed <= 0) return "";
  return absl::StrCat("out of memory: oom_kill rose by ", killed, " in this control group, ",
                      LimitText());
}

}  // namespace ringmaster
