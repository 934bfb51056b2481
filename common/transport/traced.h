#ifndef RINGMASTER_COMMON_TRANSPORT_TRACED_H_
#define RINGMASTER_COMMON_TRANSPORT_TRACED_H_

#include <memory>

#include "common/trace/thread_recorder.h"
#include "common/transport/transport.h"

namespace ringmaster {

// Wraps a transport and records its messages as of the step that `recorder` has under way: sent
// when their sending is started, received when their wait succeeds. A message that a node sends to
// itself wakes a thread and is left out; what is drained belongs to no step. Memory
// that was borrowed is a message of kind "returned" on its way back. Takes no lock and allocates
// nothing.
//
// Thread-safe as the transport it wraps, but for this: all messages to and from other nodes are
// those of one thread at a time, the recorder's. Both outlive this object.
std::unique_ptr<Transport> CreateTracedTransport(Transport& transport, ThreadRecorder& recorder);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TRACED_H_
