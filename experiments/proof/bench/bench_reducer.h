#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_REDUCER_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_REDUCER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "experiments/proof/bench/codec_result.h"

namespace ringmaster {

class CodecSpec;

// What one rank does of the codec `name` under its resolved `spec`, one that is summed in rounds
// (common/codec/reducer.h), on one thread: the gradient of `size_bytes` is one matrix about as high
// as it is wide, and the sum over the ranks is its own. Operations, as far as there are such
// rounds: "first_round", what it makes of the gradient for the first sum; "later_rounds", from one
// sum to the next; "decode", from the last sum to the average. Each runs right after a memcpy of
// the gradient, `iterations` times (0: about a fifth of a second of all three, 10 to 1000).
// encoded_bytes: of all sums. moved_bytes: with error feedback 3, 1 and 3 gradients and the sums,
// otherwise 1, 1 and 1. DataLoss: the average and what is kept do not make up what came.
absl::StatusOr<CodecResult> MeasureReducer(const std::string& name, const CodecSpec& spec,
                                           int64_t size_bytes, int64_t iterations);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_REDUCER_H_
