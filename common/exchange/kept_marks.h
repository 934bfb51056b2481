#ifndef RINGMASTER_COMMON_EXCHANGE_KEPT_MARKS_H_
#define RINGMASTER_COMMON_EXCHANGE_KEPT_MARKS_H_

#include <vector>

#include "common/exchange/snapshot_store.h"
#include "common/trace/phase.h"

namespace ringmaster {

// What one node keeps of the model at marks where the run may form its group anew: it outlives the
// formation that has passed them. One thread at a time.
struct KeptMarks {
  SnapshotStore copies;                   // of no marks: nothing is kept yet
  std::vector<Clock::time_point> passed;  // by mark
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_EXCHANGE_KEPT_MARKS_H_
