#include "common/machine/process_tree.h"

#include <dirent.h>

#include <fstream>
#include <map>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/machine/process_stat.h"

namespace ringmaster {
bool IsSuspended(pid_t pid) {
  const std::optional<ProcessStat> stat = ReadProcessStat(pid);
  return stat && stat->is_suspended();
}

std::string ShortNameOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/comm"));
  std::string name;
  std::getline(file, name);
  return name;
}

std::vector<pid_t> DescendantsOf(pid_t pid) {
  std::map<pid_t, std::vector<pid_t>> children;  // by parent
  DIR* const folder = opendir("/proc");
  if (folder == nullptr) return {};
  while (const dirent* entry = readdir(folder)) {
    pid_t found = 0;
    if (!absl::SimpleAtoi(entry->d_name, &found)) continue;
    const std::optional<ProcessStat> stat = ReadProcessStat(found);
    if (stat && stat->parent > 0) children[stat->parent].push_back(found);
  }
  closedir(folder);
  std::vector<pid_t> descendants = children[pid];
  for (size_t i = 0; i < descendants.size(); ++i) {
    const std::vector<pid_t>& more = children[descendants[i]];
    descendants.insert(descendants.end(), more.begin(), more.end());
  }
  return descendants;
}

}  // namespace ringmaster
