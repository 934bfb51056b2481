#ifndef RINGMASTER_TESTS_COMMON_NETWORK_SIMGRID_FLOW_SET_H_
#define RINGMASTER_TESTS_COMMON_NETWORK_SIMGRID_FLOW_SET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/network/flow_network.h"
#include "common/network/network_shape.h"

namespace ringmaster {

// Messages on a network of hosts, with a worker each: host 3 has worker/3.
struct FlowSet {
  struct Message {
    int32_t from = 0;
    int32_t to = 0;
    int64_t bytes = 0;
    Nanoseconds start = 0;
  };
  NetworkShape shape;
  int32_t hosts = 0;
  std::vector<Message> messages;  // by start, ascending
};

// A set of 2 to 32 hosts, of which every second seed's stand in racks with uplinks: up to 4
// messages a host, at random times between random hosts, in every third set half of them to one
// host. Cards, uplinks and some links have rates of their own.
//
// Messages have what two models of a network mean alike. Where there is a latency it is the same
// for all messages of the set, and there is one message from a host to another: SimGrid lets a
// message wait for its latency before it takes its share, and weights shares by latency. Without
// latency several go from one host to another, and each follows the one before.
FlowSet RandomFlowSet(uint64_t seed);

// What a failed expectation says of a set.
std::string Describe(const FlowSet& set);

// When each message has arrived, in nanoseconds, by FlowNetwork.
std::vector<double> PlayInFlowNetwork(const FlowSet& set);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_NETWORK_SIMGRID_FLOW_SET_H_
