#ifndef RINGMASTER_COMMON_CONTROL_DEALING_H_
#define RINGMASTER_COMMON_CONTROL_DEALING_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
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
  bool waits = false;  // nobody knows yet: the answer comes later (ClaimDealer::TakeAnswer)
};

// The lots that are claimed in a run: `first` to `end` - 1, by ranks 0 to `ranks` - 1.
struct ClaimRules {
  int64_t first = 0;
  int64_t end = 0;
  int32_t ranks = 0;
  // The lots of a rank that is lost are dealt again. Then no lot is known to be left for nobody
  // before all that others have are settled.
  bool deals_again = false;
};

// Deals lots to those who ask: each lot once, in ascending order. A rank's first claim is the lot
// that it would be dealt, `first` + rank, whoever asks first, so every rank takes part. Later ones
// are as many lots as the rank wants, but no more than an even share of a quarter of what is left:
// at the end nobody holds many while others have none.
//
// Where lots are dealt again, a rank's lots are open until they are settled: in the weights for
// good. Open lots of a lost rank come before all others.
//
// Pure. Not thread-safe.
class ClaimDealer {
 public:
  // REQUIRES: ranks >= 1, a lot for each of them.
  explicit ClaimDealer(const ClaimRules& rules);

  // `rank` asks for up to `wanted` lots. InvalidArgument: no such rank, wanted < 1, or, where lots
  // are dealt again, it is lost or its last question is not answered.
  absl::StatusOr<LotClaim> Ask(int32_t rank, int32_t wanted);

  // `rank` is lost: nobody answers it. Its open lots are dealt again where lots are, and elsewhere
  // lost with it, its first one too. Returns how many are dealt again. REQUIRES: it was not lost
  // before.
  int64_t Lose(int32_t rank);

  // Where lots are dealt again, the rest; elsewhere it has no effect, or is not called.

  // The first `count` of the lots that `rank` was dealt, in the order in which it was, are settled.
  // InvalidArgument: no such rank, or it was not dealt so many.
  absl::Status Settle(int32_t rank, int64_t count);

  // The next answer to a question that waited; nullopt: there is none yet. To be asked for until
  // then after Ask, Settle and Lose.
  std::optional<LotClaim> TakeAnswer();

  // The question of `rank` is kept until lots of others are settled. False: no such rank.
  bool IsKeptWaiting(int32_t rank) const {
    return rank >= 0 && rank < rules_.ranks && ranks_[rank].wanted > 0;
  }

  // Lots that nobody has.
  int64_t left() const { return rules_.end - next_ + static_cast<int64_t>(returned_.size()); }

 private:
  struct Rank {
    bool began = false;  // it has its first lot
    bool lost = false;
    int32_t wanted = 0;        // of a question that waits; 0: none does
    int64_t settled = 0;       // of the lots that it was dealt
    std::deque<int64_t> open;  // the others, in that order
  };
  LotClaim Deal(int32_t rank, int32_t wanted);
  LotClaim DealAgain(int32_t rank, int64_t count);
  bool OthersHaveOpenLots(int32_t rank) const;

  const ClaimRules rules_;
  int64_t next_ = 0;  // the first lot that is nobody's and no rank's first
  std::vector<Rank> ranks_;
  std::deque<int64_t> returned_;  // by lost ranks, ascending
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_DEALING_H_
