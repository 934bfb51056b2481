#ifndef RINGMASTER_COMMON_MACHINE_PROCESSES_H_
#define RINGMASTER_COMMON_MACHINE_PROCESSES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/machine/process_stat.h"

namespace ringmaster {

// What /proc says of one process of this machine, whoever started it. Thread-safe.
struct ProcessFacts : ProcessStat {
  ProcessFacts(ProcessStat stat, std::string command)
      : ProcessStat(std::move(stat)), command(std::move(command)) {}

  std::string command;  // its command line without the program's folder, at most 120 bytes; or (its
                        // short name)
};

// Absent: no process of this number can be seen here.
std::optional<ProcessFacts> LookAtProcess(int64_t pid);

// Who listens at a TCP port of this machine (of this network namespace), at whatever address: "pid
// 4711 (python3 serve.py)", several with commas between them. Where the process cannot be seen
// (another user's or another container's) that is said; empty: nobody listens there.
std::string WhoListensAt(int port);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESSES_H_
