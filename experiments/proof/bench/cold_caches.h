#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_COLD_CACHES_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_COLD_CACHES_H_

#include "absl/types/span.h"

namespace ringmaster {

// Writes the floats' cache lines back to memory and takes them out of all caches of all cores,
// those that they share with their neighbours too. Their values stay. Thread-safe.
void TakeOutOfCaches(absl::Span<const float> floats);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_COLD_CACHES_H_
