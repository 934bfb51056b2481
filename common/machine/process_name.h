#ifndef RINGMASTER_COMMON_MACHINE_PROCESS_NAME_H_
#define RINGMASTER_COMMON_MACHINE_PROCESS_NAME_H_

#include <string>

namespace ringmaster {

// Lets RenameProcess write over the words of main's `argv`. To be called once, before other threads
// and before RenameProcess, after which `argv` and its strings must not be used.
void LendArguments(int argc, char** argv);

// Gives this process a name: `title` is what ps and /proc/PID/cmdline show, `short_name`, cut to 15
// bytes, what top and /proc/PID/comm do. The names of other threads stay. Call from one thread.
void RenameProcess(const std::string& title, const std::string& short_name);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESS_NAME_H_
