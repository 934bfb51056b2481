#ifndef RINGMASTER_COMMON_CONTROL_DEALING_H_
#define RINGMASTER_COMMON_CONTROL_DEALING_H_

#include <cstdint>

#include "common/base/check.h"

namespace ringmaster {

// One of the batches that a rank computes in a step.
struct BatchTurn {
  int64_t step = 0;
  int32_t rank = 0;
  int32_t index = 0;  // a: among the rank's A batches of the step
};

// Which batch of the run's stream of samples is whose. The stream is cut into batches of b samples,
// numbered from 0: batch n has positions n * b to (n + 1) * b - 1. They are dealt in fixed order: a
// step's N * A batches follow each other, in them each rank's A. Sample j of a turn thus has
// position step * G + rank * A * b + index * b + j, with G = N * A * b. A value.
struct Dealing {
  int32_t ranks = 1;           // N
  int32_t batches_a_rank = 1;  // A: of one step

  // The number of the batch of `turn`. REQUIRES: 0 <= rank < ranks, 0 <= index < batches_a_rank, 0
  // <= step.
  int64_t BatchOf(const BatchTurn& turn) const {
    RM_CHECK(turn.step >= 0 && turn.rank >= 0 && turn.rank < ranks && turn.index >= 0 &&
             turn.index < batches_a_rank);
    return (turn.step * ranks + turn.rank) * batches_a_rank + turn.index;
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_DEALING_H_
