#ifndef RINGMASTER_COMMON_MACHINE_MEMORY_KILLS_H_
#define RINGMASTER_COMMON_MACHINE_MEMORY_KILLS_H_

#include <cstdint>
#include <string>

#include "common/machine/control_groups.h"

namespace ringmaster {

// Watches whether the system kills processes of this one's control group for want of memory: the
// group's count `oom_kill` (memory.events of cgroup v2, memory.oom_control of v1). Where the system
// does not tell, nothing is ever found.
class MemoryKills {
 public:
  // Counts from now on.
  explicit MemoryKills(const ControlGroupMounts& mounts = {});

  // What was killed since, as a text for a status, with the tightest memory limit of the group and
  // those around it; empty: nothing. "out of memory: oom_kill rose by 1 in this control group,
  // whose memory limit is 64 MiB (/sys/fs/cgroup/job/memory.max): ...". Thread-safe.
  std::string Found() const;

 private:
  int64_t Read() const;
  std::string LimitText() const;

  const ControlGroupMounts mounts_;
  std::string count_file_;  // empty: there is none
  int64_t before_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_MEMORY_KILLS_H_
