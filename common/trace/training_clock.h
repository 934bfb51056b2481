#ifndef RINGMASTER_COMMON_TRACE_TRAINING_CLOCK_H_
#define RINGMASTER_COMMON_TRACE_TRAINING_CLOCK_H_

#include <algorithm>
#include <cstdint>
#include <vector>

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

// The other way around: nanoseconds since the start at that moment of training; at the beginning of
// a pause, before it. `pauses` are in order. Pure.
inline int64_t SinceStartNs(double training_seconds,
                            const google::protobuf::RepeatedPtrField<TrainingPause>& pauses) {
  auto since_start_ns = static_cast<int64_t>(training_seconds * 1e9);
  for (const TrainingPause& pause : pauses) {
    if (pause.begin_ns() >= since_start_ns) break;
    since_start_ns += pause.duration_ns();
  }
  return since_start_ns;
}

// When workers stood still all at once, by the pauses of each, which are in order. The clock of
// their run stands still then alone: where one waits for another to come to the end of a turn, the
// run goes on. Pure.
google::protobuf::RepeatedPtrField<TrainingPause> CommonPauses(
    const std::vector<const google::protobuf::RepeatedPtrField<TrainingPause>*>& of_workers);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_TRAINING_CLOCK_H_
