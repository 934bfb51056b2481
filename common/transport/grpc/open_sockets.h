#ifndef RINGMASTER_COMMON_TRANSPORT_GRPC_OPEN_SOCKETS_H_
#define RINGMASTER_COMMON_TRANSPORT_GRPC_OPEN_SOCKETS_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "common/base/addresses.h"
#include "common/base/fd.h"

namespace ringmaster {

// Descriptors of their own for the connected TCP sockets of this process that `wanted` chooses by
// their two ends: whoever has them may shut connections that a library keeps to itself. Those that
// are opened or closed meanwhile may be missed.
std::vector<Fd> OpenSockets(
    absl::FunctionRef<bool(const SocketAddress& own, const SocketAddress& other)> wanted);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_GRPC_OPEN_SOCKETS_H_
