#ifndef RINGMASTER_COMMON_TRANSPORT_METERED_H_
#define RINGMASTER_COMMON_TRANSPORT_METERED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/transport/fabric.h"
#include "common/transport/forwarding.h"
#include "common/transport/transport.h"

namespace ringmaster {

// Exact counts of what one node sent or received, messages between nodes of one machine place
// (co-located) left out.
struct TrafficCount {
  int64_t messages = 0;
  int64_t payload_bytes = 0;
  int64_t header_bytes = 0;
};

struct Traffic {
  // By message kind: kPush goes up to servers, kWeights comes down, kCollective goes both ways;
  // kPull (empty requests) and kDrain (weights after training) are no part of a
  // step's payload.
  std::map<MessageKind, TrafficCount> sent;
  std::map<MessageKind, TrafficCount> received;

  // The payload of the same messages by the wire that they took (Fabric::WireTo); over all wires it
  // is the payload above.
  struct Payload {
    std::map<MessageKind, int64_t> sent_bytes;
    std::map<MessageKind, int64_t> received_bytes;
  };
  std::map<std::string, Payload> by_wire;
};

// Wraps a transport and counts; sends are counted when started, receives when their wait succeeds.
// Memory that was borrowed and returned counts as a message each way, as it would on a wire;
// borrowed only to be read, one way. `is_local(peer)`: whether the peer is co-located with this
// node, so that its messages do not count. Thread-safe.
class MeteredTransport : public ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;
  // What was counted so far, as a copy.
  virtual Traffic traffic() const = 0;
};
std::unique_ptr<MeteredTransport> CreateMeteredTransport(Transport& transport, const Fabric& fabric,
                                                         std::function<bool(NodeId)> is_local);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_METERED_H_
