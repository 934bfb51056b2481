#ifndef RINGMASTER_COMMON_CONFIG_NETWORK_TEXT_H_
#define RINGMASTER_COMMON_CONFIG_NETWORK_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Sets what `text` names of a network: a rate ("100mbit", "2.5gbit", "64kbit"), a latency ("5ms",
// "50us", "1s") and behind it a jitter, and racks ("racks:2:100mbit:1ms": of two workers each, then
// rate and latency of their uplinks, and "first" where servers sit in the first rack), separated by
// commas and each once at most; "none" clears it. What is not named stays as it is. InvalidArgument
// says what could not be read; `network` is unchanged then.
absl::Status ReadNetwork(absl::string_view text, TransportSpec* transport);

// Sets the racks of the run's network from "8x8,uplink=10gbit,latency=50us,servers=first": how many
// racks, the workers of each, and in any order what lies between them, all but the grid optional;
// and how many workers the run has, where the spec does not say. InvalidArgument: what could not be
// read, or that the racks hold another number of workers; `spec` is unchanged then.
absl::Status ReadRackGrid(absl::string_view text, RunSpec* spec);

// "100 Mbit/s, 5 ms, 2 nodes and 1 link of their own", for tables and logs; "" where nothing is
// shaped.
std::string NetworkText(const TransportSpec& transport);

// "compute emulated, 10 ms a batch; 1 slowdown", for tables and logs; "" where ranks compute as
// fast as they can.
std::string ComputeText(const TrainingSpec& training);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_NETWORK_TEXT_H_
