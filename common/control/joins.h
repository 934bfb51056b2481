#ifndef RINGMASTER_COMMON_CONTROL_JOINS_H_
#define RINGMASTER_COMMON_CONTROL_JOINS_H_

#include <string>

#include "common/machine/host_identity.h"
#include "proto/control.pb.h"

namespace ringmaster {

// Says in a join which process this is: its number and where it lives.
void SayWhoJoins(Join* join);

// Where the process that joins lives.
HostIdentity HostOf(const Join& join);

// "worker/1+server/1"
std::string NodesOf(const Join& join);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_JOINS_H_
