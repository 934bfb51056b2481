#ifndef RINGMASTER_COMMON_CONFIG_IS_PROGRAM_H_
#define RINGMASTER_COMMON_CONFIG_IS_PROGRAM_H_

#include "proto/run_spec.pb.h"

namespace ringmaster {

// Whether a program of the user's computes the gradients of the spec's run, in sessions
// (docs/OWN_MODEL.md).
inline bool IsProgram(const RunSpec& spec) { return spec.model().name() == "program"; }

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_IS_PROGRAM_H_
