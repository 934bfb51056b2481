#ifndef RINGMASTER_COMMON_TRACE_TRAINING_CLOCK_H_
#define RINGMASTER_COMMON_TRACE_TRAINING_CLOCK_H_

#include <algorithm>
#include <cstdint>

#include "google/protobuf/repeated_field.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Seconds of training at a moment: `since_start_ns` after the barrier before the first step,
// without the pauses until then. The clock stands still in a pause. Pure.
inline double TrainingSeconds(int64_t since_start_ns,
                              const google::protobuf::RepeatedPtrField<TrainingPause>& pauses) {
  int64_t paused_ns = 0;
  for (const TrainingPause& pause : pauses) {
    paused_ns += std::clamp<int64_t>(since_start_ns - pause.begin_ns(), 0, pause.duration_ns());
  }
  return static_cast<double>(since_start_ns - paused_ns) / 1e9;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_TRAINING_CLOCK_H_
