#ifndef RINGMASTER_TESTS_COMMON_NETWORK_SIMGRID_SIMGRID_NETWORK_H_
#define RINGMASTER_TESTS_COMMON_NETWORK_SIMGRID_SIMGRID_NETWORK_H_

#include <vector>

#include "absl/status/statusor.h"
#include "tests/common/network/simgrid/flow_set.h"

namespace ringmaster {

enum class SimGridModel {
  // Max-min sharing alone: links have the rates and latencies that are written.
  kPlain,
  // What a user gets who sets nothing: latency counts 13.01 times and bandwidth 0.97 times, a
  // message takes 5 % of the way back, and 4 MiB are on their way at most.
  kDefault,
};

// When each message has arrived, in nanoseconds, by SimGrid. A message crosses its sender's card,
// the link if it has a rate of its own, between racks the uplinks of both, and its receiver's card:
// a link of SimGrid each. From one host to another messages follow one another.
//
// SimGrid has one engine in a process, so this one forks: REQUIRES that it has one thread.
// InternalError: SimGrid has failed; its own words are on stderr.
absl::StatusOr<std::vector<double>> PlayInSimGrid(const FlowSet& set, SimGridModel model);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_NETWORK_SIMGRID_SIMGRID_NETWORK_H_
