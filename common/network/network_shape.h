#ifndef RINGMASTER_COMMON_NETWORK_NETWORK_SHAPE_H_
#define RINGMASTER_COMMON_NETWORK_NETWORK_SHAPE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/message.h"

namespace ringmaster {

// Bytes of payload a second where nothing holds them up.
inline constexpr double kUnlimitedRate = std::numeric_limits<double>::infinity();

// A network between the processes of a run that all live on one host, each a node with a card of
// its own: what nodes of one process say to each other takes no time. Rates are in bytes of payload
// a second, above 0.
struct NetworkShape {
  // The card of the process where `node` lives.
  struct Card {
    NodeId node;
    double egress = kUnlimitedRate;
    double ingress = kUnlimitedRate;
  };
  // One direction between two processes, each named by a node that lives there.
  struct Link {
    NodeId from;
    NodeId to;
    double rate = kUnlimitedRate;  // of the link alone, within its cards' rates
    absl::Duration latency;        // one way
    absl::Duration jitter;
  };

  // Workers in racks, neighbouring ranks together. What leaves a rack or comes into it shares the
  // rack's uplink, each way; between racks everything meets without a limit.
  struct Racks {
    int32_t workers_each = 1;        // the last rack has what is left
    double uplink = kUnlimitedRate;  // of each rack, each way
    absl::Duration latency;          // one way, between two racks, on top of the link's
    // a process of servers alone sits in the first rack; else that of server k in rack k mod racks
    bool servers_in_first = false;
  };

  double rate = kUnlimitedRate;  // of every card, each way
  absl::Duration latency;        // one way
  absl::Duration jitter;         // up to so much more for each message, evenly distributed
  uint64_t seed = 1;             // of jitter
  std::vector<Card> cards;       // that differ
  std::vector<Link> links;       // that differ
  std::optional<Racks> racks;    // absent: all cards meet without a limit
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_NETWORK_NETWORK_SHAPE_H_
