#ifndef RINGMASTER_COMMON_MACHINE_PROCESSES_H_
#define RINGMASTER_COMMON_MACHINE_PROCESSES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace ringmaster {

// What /proc says of one process of this machine, whoever started it. Thread-safe.
struct ProcessFacts {
  char state = '?';      // as proc(5) has it: 'R' runs, 'S' and 'D' wait, 'T' is stopped, 't' is traced, 'Z' has ended
  absl::Duration cpu;    // computing time so far, of all its threads
  std::string command;   // its command line without the program's folder, at most 120 bytes; or (its short name)

  bool is_suspended() const { return state == 'T' || state == 't'; }
  bool has_ended() const { return state == 'Z' || state == 'X'; }
};

// Absent: no process of this number can be seen here.
std::optional<ProcessFacts> LookAtProcess(int64_t pid);

// Who listens at a TCP port of this machine (of this network namespace), at whatever address: "pid 4711 (python3
// serve.py)", several with commas between them. Where the process cannot be seen (another user's or another
// container's) that is said; empty: nobody listens there.
std::string WhoListensAt(int port);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESSES_H_
