#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_SCHEME_FACTS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_SCHEME_FACTS_H_

#include <cstdint>
#include <vector>

#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

// What a reader should know of a scheme beyond the messages of one exchange: who waits for whom,
// who holds the weights, how old they are when a gradient meets them, what is kept, and what
// clipping, momentum and marks mean. Every sentence follows from the traits; numbers are of
// `layout`.
//   optimizer_arrays: that the spec's optimizer keeps (common/update/update_rule.h).
// REQUIRES: the scheme exchanges something, by messages of ours, and has 2 workers or more. Pure.
std::vector<Fact> SchemeFacts(const SchemeTraits& traits, const ParamLayout& layout,
                              int64_t optimizer_arrays);

// The most updates by other workers between a worker's read of a part and the update by its
// gradient, where each may be `bound` steps ahead of the slowest: while the worker computes step c,
// every other one has applied c - bound steps or more when it reads, and at most c + bound + 1 when
// its gradient comes.
int64_t StalenessMax(int64_t bound, int32_t workers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_SCHEME_FACTS_H_
