#ifndef RINGMASTER_COMMON_TRANSPORT_SHAPED_SHAPED_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_SHAPED_SHAPED_FABRIC_H_

#include <memory>

#include "common/network/network_shape.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// `below`, with messages between its processes taking the time that a network of this shape gives
// them. All processes must live on one host, and prove it: Connect is FailedPrecondition where they
// do not, and InvalidArgument where the shape names a node that lives nowhere. Bytes, headers and
// names are those of `below`.
std::unique_ptr<Fabric> CreateShapedFabric(std::unique_ptr<Fabric> below,
                                           const NetworkShape& shape);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHAPED_SHAPED_FABRIC_H_
