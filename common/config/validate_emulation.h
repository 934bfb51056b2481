#ifndef RINGMASTER_COMMON_CONFIG_VALIDATE_EMULATION_H_
#define RINGMASTER_COMMON_CONFIG_VALIDATE_EMULATION_H_

#include "common/base/problems.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What is wrong with a spec's shaped network, emulated computing and slow ranks. `is_loopback`:
// transport.listen_address is reached from this host alone.
void CheckEmulation(const RunSpec& spec, bool is_loopback, Problems* problems);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_VALIDATE_EMULATION_H_
