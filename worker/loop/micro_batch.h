#ifndef RINGMASTER_WORKER_LOOP_MICRO_BATCH_H_
#define RINGMASTER_WORKER_LOOP_MICRO_BATCH_H_

#include <cstdint>

namespace ringmaster {

// How many batches a worker computes in a step: those of `shares` ranks, its own first, and of each
// `accumulate` (A). One share unless it stands for all ranks.
struct StepShape {
  int32_t shares = 1;
  int32_t accumulate = 1;
  int64_t batches() const { return int64_t{shares} * accumulate; }
};

// One of them.
struct MicroBatch {
  int64_t step = 0;   // the worker's own
  int64_t lot = 0;    // that it belongs to (common/control/dealing.h)
  int32_t share = 0;  // whose it is: of the worker's rank + share
  int32_t index = 0;  // among that rank's, 0..A-1
  bool is_first() const { return share == 0 && index == 0; }
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_MICRO_BATCH_H_
