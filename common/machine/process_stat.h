#ifndef RINGMASTER_COMMON_MACHINE_PROCESS_STAT_H_
#define RINGMASTER_COMMON_MACHINE_PROCESS_STAT_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace ringmaster {

// What /proc/PID/stat says of one process of this machine. Thread-safe.
struct ProcessStat {
  char state = '?';  // as proc(5) has it: 'R' runs, 'S' and 'D' wait, 'T' is stopped, 't' is
                     // traced, 'Z' has ended
  pid_t parent = 0;
  absl::Duration cpu;      // computing time so far, of all its threads
  std::string short_name;  // of its first thread
  // as waitpid gives it; of a process that has ended and that nobody has reaped
  std::optional<int> wait_status;

  bool is_suspended() const { return state == 'T' || state == 't'; }
  bool has_ended() const { return state == 'Z' || state == 'X'; }
};

// Absent: no process of this number can be seen here.
std::optional<ProcessStat> ReadProcessStat(int64_t pid);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESS_STAT_H_
