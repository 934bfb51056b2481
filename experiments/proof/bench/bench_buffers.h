#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_BUFFERS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_BUFFERS_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace ringmaster {

// Where the memory of a benchmark is when the clock starts.
struct BenchBuffers {
  // "warm": in the caches as far as it fits, as whoever wrote or read it last has left it; "cold":
  // taken out of all caches
  std::string state = "warm";
  bool unaligned = false;  // begins 4 bytes behind a cache line's begin

  bool is_cold() const { return state == "cold"; }
  // Floats that lie before the first one of a buffer whose memory begins at a cache line. Memory
  // for a buffer has as many more.
  int64_t offset() const { return unaligned ? 1 : 0; }
  // "warm", "cold, 4 bytes off a cache line": for the head of a table.
  std::string text() const;
};

// Writes the floats' cache lines back to memory and takes them out of all caches of all cores,
// those that they share with their neighbours too. Their values stay. Thread-safe.
void TakeOutOfCaches(absl::Span<const float> floats);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_BUFFERS_H_
