#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_TRACE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/message.h"
#include "common/network/network_plan.h"
#include "common/trace/event_ring.h"
#include "common/trace/thread_events.h"
#include "common/trace/thread_recorder.h"
#include "experiments/study/predict/event_queue.h"

namespace ringmaster {

// Of which steps threads of a simulation keep what they do, and for how much each has room: spans,
// and as many messages each way.
struct TraceExtent {
  TracedSteps steps;
  int64_t events_max = 0;
};

// The extent for each of `threads` threads. A thread has the room of a real one (ThreadRecorder),
// but all together have no more than the largest of these: they live in one record.
TraceExtent TraceExtentOf(const TracedSteps& steps, int64_t threads);

// What one thread of a simulated node does in the traced steps, as ThreadRecorder has it of a real
// one: both ends of its messages, and the spans in which they lie, from the beginning of simulated
// time on. Memory grows with what is kept. What has no room is counted and left out. One thread.
class SimulatedTrace {
 public:
  // Keeps nothing.
  SimulatedTrace() = default;
  // `queue` says what time it is, and outlives this.
  SimulatedTrace(const TraceExtent& extent, const EventQueue* queue)
      : first_(static_cast<uint64_t>(extent.steps.begin)),
        count_(static_cast<uint64_t>(extent.steps.count())),
        events_max_(extent.events_max),
        queue_(queue) {}

  // Whether what belongs to `step` is kept; -1: it belongs to none. One comparison.
  bool Wants(int64_t step) const { return static_cast<uint64_t>(step) - first_ < count_; }

  // The thread's work on the exchange of `step` begins, of one bucket, or of all (-1): a span
  // "exchange" begins. It ends with the last message before the next one begins.
  // REQUIRES: Wants(step).
  void BeginExchange(int64_t step, int32_t bucket);
  // A message of a traced step is sent; has left; has been received. REQUIRES: Wants(end.step).
  void Sent(const MessageEnd& end);
  void Left() { last_ = queue_->time(); }
  void Received(const MessageEnd& end) { ReceivedAt(end, queue_->time()); }
  void ReceivedAt(const MessageEnd& end, Nanoseconds time);

  // A span from `begin` until now, of a traced step. What takes no time is a nanosecond long, since
  // messages lie in spans, and is there once in a moment. `name`: a string literal.
  void AddSpan(const char* name, int64_t step, int32_t bucket, Nanoseconds begin);

  // What was kept, as of a thread of that name.
  ThreadEvents Events(std::string node, std::string thread) const;

 private:
  template <typename Event>
  void Keep(std::vector<Event>* events, const Event& event);
  // The exchange under way as a span.
  SpanEvent OpenSpan() const;

  uint64_t first_ = 0;
  uint64_t count_ = 0;  // of steps; 0: keeps nothing
  int64_t events_max_ = 0;
  const EventQueue* queue_ = nullptr;
  std::vector<SpanEvent> spans_;
  std::vector<MessageEvent> sent_;
  std::vector<MessageEvent> received_;
  int64_t dropped_ = 0;
  // The exchange under way: whether there is one, what it is of, when it began, and the last moment
  // at which a message was sent, had left or was received.
  bool is_open_ = false;
  int64_t step_ = 0;
  int32_t bucket_ = -1;
  Nanoseconds begin_ = 0;
  Nanoseconds last_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_TRACE_H_
