#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_REPLAY_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_REPLAY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringmaster {

class RunRecord;

// Plays a run whose servers update on arrival again, in one thread, from its record alone: whose
// lot was which (WorkerReport.lots, or the dealt order), what each server did in which order
// (ServerReport.arrivals), and which pull's weights each step was computed from
// (WorkerReport.step_pulls). On the host, without dropout. Returns the SHA-256 of each worker's
// final weights, by rank. FailedPrecondition: the log is not whole, or not that of any run.
// Thread-safe.
absl::StatusOr<std::vector<std::string>> Replay(const RunRecord& record);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_REPLAY_H_
