#ifndef RINGMASTER_COMMON_CONFIG_VALIDATE_PROGRAM_H_
#define RINGMASTER_COMMON_CONFIG_VALIDATE_PROGRAM_H_

#include "common/base/problems.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What is wrong with a spec whose gradients a program computes, or that says something of a program
// and has none.
void CheckProgram(const RunSpec& spec, Problems* problems);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_VALIDATE_PROGRAM_H_
