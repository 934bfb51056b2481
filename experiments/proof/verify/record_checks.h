#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_RECORD_CHECKS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_RECORD_CHECKS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ringmaster {

class RunRecord;
class RunSpec;

// What is proved about finished runs, as pure functions over their records: tests hand them broken
// ones. Each returns its figure in words, or FailedPrecondition that names the runs, the rank and
// both values. A record that is not ok, or that lacks a worker, fails every check. Thread-safe.

// Every worker of every run ended with the same weights, bit for bit: for synchronous runs.
absl::StatusOr<std::string> CheckSameWeights(absl::Span<const RunRecord> records);

// Every rank computed the same batches in the same order in all runs. Runs have the same workers
// and steps.
absl::StatusOr<std::string> CheckSameBatches(absl::Span<const RunRecord> records);

// The metered payload of every worker, both directions and the index part of it, is PayloadFormula
// of its steps, to the byte; where encodings have no fixed length, what encoders have said
// (ExpectedPayload). Runs whose workers exchange nothing must have sent nothing.
absl::StatusOr<std::string> CheckPayload(absl::Span<const RunRecord> records);

// `replay` ends every run with the weights that its workers ended with, bit for bit. `replay` is
// Replay or, in tests, another; it returns the SHA-256 of each worker's weights, by rank.
absl::StatusOr<std::string> CheckReplay(
    absl::Span<const RunRecord> records,
    const std::function<absl::StatusOr<std::vector<std::string>>(const RunRecord&)>& replay);

// How far the final weights of a synchronous run may lie from those of `single` when sums are
// rounded in another order: |w - w'| / |w'|, in the Euclidean norm.
//
//   A sum of N floats in any order errs by at most (N-1) u sum|g| (u = 2^-24, first order), so two
//   orders differ by twice that. With a learning rate r the weights then differ by
//   2 (N-1) u r |g| + 2 u |w| after one step, the second term being the update's own rounding. A
//   step that is shorter than the weights (r |g| <= |w|; it is a hundredth of them in these runs)
//   makes that at most 2 N u |w|. Differences of earlier steps grow by 1 + r L a step, L the
//   curvature of the loss: by at most e over T steps when L <= 1 / (r T). So: e T 2 N u.
double OrderBound(int32_t workers, int64_t steps);

// The final weights of all runs lie within OrderBound of those of records[0]; all carry them
// (training.report_weights).
absl::StatusOr<std::string> CheckWeightsClose(absl::Span<const RunRecord> records);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_RECORD_CHECKS_H_
