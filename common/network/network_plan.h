#ifndef RINGMASTER_COMMON_NETWORK_NETWORK_PLAN_H_
#define RINGMASTER_COMMON_NETWORK_NETWORK_PLAN_H_

#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/message.h"
#include "common/network/network_shape.h"

namespace ringmaster {

// Of a clock that all who look at a network share.
using Nanoseconds = int64_t;
inline constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

// The rates and delays of a network between processes.
struct NetworkPlan {
  struct Delay {
    double rate = kUnlimitedRate;  // bytes a nanosecond
    Nanoseconds latency = 0;
    Nanoseconds jitter = 0;
  };
  std::vector<double> egress;  // by process, bytes a nanosecond
  std::vector<double> ingress;
  Delay everywhere;  // of every link that `links` leaves out; its rate is unlimited
  std::map<std::pair<int32_t, int32_t>, Delay> links;  // by sender and receiver
  std::vector<int32_t> racks;                          // by process; empty: there are none
  std::vector<double> uplinks;                         // by rack, each way, bytes a nanosecond
  Nanoseconds rack_latency = 0;                        // between two racks, on top of the link's
  uint64_t seed = 1;

  int32_t processes() const { return static_cast<int32_t>(egress.size()); }
  // With what racks add.
  Delay link(int32_t from, int32_t to) const {
    Delay delay = everywhere;
    if (!links.empty()) {
      const auto own = links.find({from, to});
      if (own != links.end()) delay = own->second;
    }
    if (!racks.empty() && racks[from] != racks[to]) delay.latency += rack_latency;
    return delay;
  }
  bool HasJitter() const;
};

// What `shape` means for processes in which these nodes live; where there are racks, a process is
// in that of its first worker. InvalidArgument: it names a node that lives nowhere.
absl::StatusOr<NetworkPlan> PlanNetwork(const NetworkShape& shape,
                                        const std::vector<std::vector<NodeId>>& processes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_NETWORK_NETWORK_PLAN_H_
