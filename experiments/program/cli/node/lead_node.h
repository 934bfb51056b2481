#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_NODE_LEAD_NODE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_NODE_LEAD_NODE_H_

#include <chrono>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/cli/node/node_setup.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

// Who may end a run that this process leads before its time.
struct LeadLimits {
  // Asked a few times a second: an error ends the run with it.
  std::function<absl::Status()> end;
  // How long this process's own part may take to end then. Absent: as long as it takes.
  std::optional<std::chrono::milliseconds> unwind;
};

struct LedNode {
  RunRecord record;
  bool is_over = true;  // this process's own part has ended; else its threads go on
};

// Leads the run from rank 0, whose own part runs on a thread of its own. Always returns a record;
// the error is that it cannot listen where it should.
absl::StatusOr<LedNode> LeadNode(const NodeSetup& setup, const LeadLimits& limits);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_NODE_LEAD_NODE_H_
