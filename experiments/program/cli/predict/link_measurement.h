#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PREDICT_LINK_MEASUREMENT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PREDICT_LINK_MEASUREMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/proof/bench/bench_link.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Measures what messages take between `ranks` processes of this program, on this machine, over the
// transport of `spec` (resolved) and in its network, but for the network's nodes and links that
// differ. Ends early when the program is interrupted.
absl::StatusOr<std::vector<LinkTimes>> MeasureLink(const RunSpec& spec, int32_t ranks);

// The part of a process that MeasureLink has started with `predict --link LINK --rank RANK
// --coordinator ENDPOINT`.
absl::Status JoinLinkMeasurement(const std::string& link, int32_t rank,
                                 const std::string& coordinator);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PREDICT_LINK_MEASUREMENT_H_
