#ifndef RINGMASTER_COMMON_TRACE_THREAD_EVENTS_H_
#define RINGMASTER_COMMON_TRACE_THREAD_EVENTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/trace/event_ring.h"

namespace ringmaster {

// All that a thread did in the traced steps, on one clock.
struct ThreadEvents {
  std::string node;    // "worker/0"
  std::string thread;  // "step"
  std::vector<SpanEvent> spans;
  std::vector<MessageEvent> sent;  // by time
  std::vector<MessageEvent> received;
  int64_t dropped = 0;  // events that had no room
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_THREAD_EVENTS_H_
