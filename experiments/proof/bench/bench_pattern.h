#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PATTERN_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PATTERN_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// What a benchmark's ranks add up, and what must come out. Rank r's values are whole numbers of a
// table of its own, drawn at random; so every sum is exact, in whatever order it is added, and a
// rank that is missing or added twice shows. The tables have a prime length and begin elsewhere in
// every call: bytes of another place or another call show too.
class BenchPattern {
 public:
  // The most ranks whose sums are exact.
  static constexpr int32_t kRanksMax = 64;

  // 1 <= ranks <= kRanksMax, 0 <= rank < ranks.
  BenchPattern(int32_t rank, int32_t ranks);

  // Writes what this rank gives to call number `call` (0 or more).
  void Fill(int64_t call, absl::Span<float> out) const;

  // OK when `sums` has to the bit what all ranks' values of that call add up to; else DataLoss,
  // which names the first element that is wrong and how many are.
  absl::Status Check(int64_t call, absl::Span<const float> sums) const;

 private:
  std::vector<float> own_;  // two periods, so that a period can begin anywhere in the first
  std::vector<float> sum_;  // two periods of all ranks' sum
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PATTERN_H_
