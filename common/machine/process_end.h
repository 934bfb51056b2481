#ifndef RINGMASTER_COMMON_MACHINE_PROCESS_END_H_
#define RINGMASTER_COMMON_MACHINE_PROCESS_END_H_

#include <sys/types.h>

#include <optional>
#include <string>

namespace ringmaster {

// "SIGTERM"
std::string SignalName(int signal);

// What became of a process, from what wait() says of it: "signal 9 (Killed)", "exit code 1", "exit
// code 143 (ended by SIGTERM)". Under a limit of address space (ulimit -v), which this process
// shares with those it starts, a signal that may come of it is told with the limit.
std::string EndText(int wait_status);

// What wait() will say of a process of this machine that has ended and that its parent has not
// waited for yet; nullopt otherwise. Any thread.
std::optional<int> WaitStatusOf(pid_t pid);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESS_END_H_
