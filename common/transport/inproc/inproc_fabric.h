#ifndef RINGMASTER_COMMON_TRANSPORT_INPROC_INPROC_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_INPROC_INPROC_FABRIC_H_

#include <memory>

#include "common/transport/fabric.h"

namespace ringmaster {

// The fabric of a run in one process: all nodes live here, and a send copies (or adds) into the
// posted destination, or into memory kept until it is posted, before it returns. Has no threads and
// no endpoint.
std::unique_ptr<Fabric> CreateInprocFabric(const FabricOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_INPROC_INPROC_FABRIC_H_
