#ifndef RINGMASTER_COMMON_MACHINE_MEMORY_KILLS_H_
#define RINGMASTER_COMMON_MACHINE_MEMORY_KILLS_H_

#include <cstdint>
#include <string>

namespace ringmaster {

// Watches whether the system kills processes of this one's control group for want of memory: the
// group's count `oom_kill` (memory.events of cgroup v2, memory.oom_control of v1). Where the system
// does not tell, nothing is ever found.
class MemoryKills {
 public:
  // Counts from now on. `proc` and `cgroups` are where the two file systems are mounted.
  explicit MemoryKills(const std::string& proc = "/proc",
                       const std::string& cgroups = "/sys/fs/cgroup");

  // What was killed since, as a text for a status, with the tightest memory limit of the group and
  // those around it; empty: nothing. "out of memory: oom_kill rose by 1 in this control group,
  // whose memory limit is 64 MiB (/sys/fs/cgroup/job/memory.max): ...". Thread-safe.
  std::string Found() const;

 private:
  int64_t Read() const;
  std::string LimitText() const;

  std::string root_;        // of the controller's hierarchy
  std::string group_;       // path of this process's group in it, "" or "/a/b"
  std::string count_file_;  // "memory.events"; empty: there is none
  std::string limit_file_;
  int64_t before_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_MEMORY_KILLS_H_
