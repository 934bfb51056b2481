#ifndef RINGMASTER_COMMON_MACHINE_CONTROL_GROUPS_H_
#define RINGMASTER_COMMON_MACHINE_CONTROL_GROUPS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringmaster {

// Linux's control groups, which hold processes to a part of their machine. Thread-safe.

// Where the two file systems that tell of them are mounted.
struct ControlGroupMounts {
  std::string proc = "/proc";
  std::string cgroups = "/sys/fs/cgroup";
};

// A group's folder.
struct ControlGroup {
  std::string folder;
  int version = 2;
};

// This process's group in each hierarchy that has `controller` ("cpu", "memory"), and behind each
// those around it, as far as they are mounted: a container often sees its group as the root.
std::vector<ControlGroup> GroupsAround(const std::string& controller,
                                       const ControlGroupMounts& mounts = {});

// The tightest limits among a process's groups, and the files that say them.
struct ControlLimits {
  std::optional<double> cpu_quota;  // in cores; absent: no group has one
  std::string cpu_file;
  ControlGroup cpu_group;
  std::optional<int64_t> memory_bytes;
  std::string memory_file;
};
ControlLimits ReadControlLimits(const ControlGroupMounts& mounts = {});

// What a CPU quota did to a group since it was made.
struct Throttling {
  int64_t periods = 0;
  int64_t throttled = 0;  // of these periods
  double seconds = 0;     // in which threads waited for the next, of all cores together
};
Throttling ReadThrottling(const ControlGroup& group);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_CONTROL_GROUPS_H_
