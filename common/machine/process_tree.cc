#include "common/machine/process_tree.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

struct Stat {
  char state = 0;  // as proc(5) has it
  pid_t parent = 0;
};

Stat ReadStat(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(file, text);
  // The name may hold spaces and parentheses; what follows its last one does not.
  const size_t name_end = text.rfind(')');
  Stat stat;
  if (name_end != std::string::npos) std::istringstream(text.substr(name_end + 1)) >> stat.state >> stat.parent;
  return stat;
}

}  // namespace

bool IsSuspended(pid_t pid) {
  const char state = ReadStat(pid).state;
  return state == 'T' || state == 't';
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
    const Stat stat = ReadStat(found);
    if (stat.parent > 0) children[stat.parent].push_back(found);
  }
  closedir(folder);
  std::vector<pid_t> descendants = children[pid];
  for (size_t i = 0; i < descendants.size(); ++i) {
    const std::vector<pid_t>& more = children[descendants[i]];
    descendants.insert(descendants.end(), more.begin(), more.end());
  }
  return descendants;
}

std::string ProcessSpace() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  char space[PATH_MAX];
  const ssize_t size = readlink("/proc/self/ns/pid", space, sizeof(space));
  if (!std::getline(file, boot) || boot.empty() || size <= 0) return "";
  return absl::StrCat(boot, " ", std::string(space, static_cast<size_t>(size)));
}

}  // namespace ringmaster
