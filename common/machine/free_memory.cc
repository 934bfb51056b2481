#include "common/machine/free_memory.h"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace ringmaster {
namespace {

// The number behind `name` in a file of names and numbers.
std::optional<int64_t> Named(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    int64_t value = 0;
    if (word == name && file >> value) return value;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// The number that is all of a file.
std::optional<int64_t> Only(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// Absent: the group has no limit.
std::optional<int64_t> LeftIn(const ControlGroup& group) {
  const bool is_v2 = group.version == 2;
  const std::string folder = group.folder + "/memory.";
  const std::optional<int64_t> limit = Only(folder + (is_v2 ? "max" : "limit_in_bytes"));
  const std::optional<int64_t> used = Only(folder + (is_v2 ? "current" : "usage_in_bytes"));
  if (!limit || !used) return std::nullopt;
  const char* const unused = is_v2 ? "inactive_file" : "total_inactive_file";
  return std::max<int64_t>(0, *limit - *used + Named(folder + "stat", unused).value_or(0));
}

}  // namespace

std::optional<int64_t> FreeMemoryBytes(const ControlGroupMounts& mounts) {
  std::optional<int64_t> free = Named(mounts.proc + "/meminfo", "MemAvailable:");
  if (!free) return std::nullopt;
  *free *= 1024;
  for (const ControlGroup& group : GroupsAround("memory", mounts))
    free = std::min(*free, LeftIn(group).value_or(*free));
  return free;
}

void ReturnFreeMemory() { malloc_trim(0); }

}  // namespace ringmaster
