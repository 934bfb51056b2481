#ifndef RINGMASTER_COMMON_MACHINE_OWN_PROGRAM_H_
#define RINGMASTER_COMMON_MACHINE_OWN_PROGRAM_H_

#include <string>

namespace ringmaster {

// The file of the running program, links resolved; empty: the system does not say. Thread-safe.
std::string OwnProgramPath();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_OWN_PROGRAM_H_
