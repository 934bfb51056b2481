#ifndef RINGMASTER_COMMON_MACHINE_PROCESS_TREE_H_
#define RINGMASTER_COMMON_MACHINE_PROCESS_TREE_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace ringmaster {

// Processes of this machine, from /proc. Thread-safe.

// Whether a signal (SIGSTOP, Ctrl-Z) or a debugger has stopped the process.
bool IsSuspended(pid_t pid);

// The short name of a process; empty: there is no such process.
std::string ShortNameOf(pid_t pid);

// Everything that `pid` has started and that still runs or waits to be reaped, and what that has
// started, parents first. What outlived its own parent is not found.
std::vector<pid_t> DescendantsOf(pid_t pid);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESS_TREE_H_
