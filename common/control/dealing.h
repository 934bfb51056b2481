#ifndef RINGMASTER_COMMON_CONTROL_DEALING_H_
#define RINGMASTER_COMMON_CONTROL_DEALING_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/check.h"

namespace ringmaster {

// Which batch of the run's stream of samples is whose. The stream is cut into batches of b samples,
// numbered from 0: batch n has positions n * b to (n + 1) * b - 1. A batches that follow each other
// are a lot: what a rank computes in one step. Lots are numbered from 0 too. A value.
//
// Dealt work: a step's N lots follow each other, in rank order. Sample j of batch a of a step thus
// has position step * G + rank * A * b + a * b + j, with G = N * A * b. Claimed work: ClaimDealer
// says whose a lot is.
struct Dealing {
  int32_t ranks = 1;           // N
  int32_t batches_a_rank = 1;  // A: of one step

  // The lot that `rank` is dealt in `step`. REQUIRES: 0 <= rank < ranks, 0 <= step.
  int64_t LotOf(int64_t step, int32_t rank) const {
    RM_CHECK(step >= 0 && rank >= 0 && rank < ranks);
    return step * ranks + rank;
  }
  // The number of the lot's batch `index`. REQUIRES: 0 <= lot, 0 <= index < batches_a_rank.
  int64_t BatchOf(int64_t lot, int32_t index) const {
    RM_CHECK(lot >= 0 && index >= 0 && index < batches_a_rank);
    return lot * batches_a_rank + index;
  }
};

// Lots `first`, `first` + 1, ..., `first` + `count` - 1 are `rank`'s. count 0: no lot is left.
struct LotClaim {
  int32_t rank = 0;
  int64_t first = 0;
  int32_t count = 0;
};

// The lots that are claimed in a run: `first` to `end` - 1, by ranks 0 to `ranks` - 1.
struct ClaimRules {
  int64_t first = 0;
  int64_t end = 0;
  int32_t ranks = 0;
};

// Deals lots to those who ask: each lot once, in ascending order. A rank's first claim is the lot
// that it would be dealt, `first` + rank, whoever asks first, so every rank takes part. Later ones
// are as many lots as the rank wants, but no more than an even share of a quarter of what is left:
// at the end nobody holds many while others have none.
//
// Pure. Not thread-safe.
class ClaimDealer {
 public:
  // REQUIRES: ranks >= 1, a lot for each of them.
  explicit ClaimDealer(const ClaimRules& rules);

  // `rank` asks for up to `wanted` lots. InvalidArgument: no such rank, or wanted < 1.
  absl::StatusOr<LotClaim> Ask(int32_t rank, int32_t wanted);

  // Lots that nobody has.
  int64_t left() const { return rules_.end - next_; }

 private:
  const ClaimRules rules_;
  int64_t next_ = 0;         // the first lot that is nobody's and no rank's first
  std::vector<bool> began_;  // by rank: it has its first lot
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_DEALING_H_
