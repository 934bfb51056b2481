#ifndef RINGMASTER_COMMON_TRACE_THREAD_RECORDER_H_
#define RINGMASTER_COMMON_TRACE_THREAD_RECORDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/trace/event_ring.h"
#include "common/trace/phase.h"
#include "google/protobuf/repeated_field.h"

namespace ringmaster {

class ThreadTrace;
class TraceMessage;

// Which steps are recorded: [begin, end).
struct TracedSteps {
  int64_t begin = 0;
  int64_t end = 0;
  bool contains(int64_t step) const { return begin <= step && step < end; }
  int64_t count() const { return end - begin; }
};

// What one thread does: all of the traced steps, and of all steps the last events.
//   - Of the traced steps in memory of fixed size: kEventsPerStep spans, and as many messages each
//     way, for every traced step, kEventsMax at most. What has no room is counted and left out.
//   - Always, whatever is traced, the last kLastEvents events (EventRing), which say what the
//   thread
//     did before a run failed.
// All memory is taken at construction; recording allocates nothing. One thread's; Trace is called
// after it has been joined or handed over, last_events by any thread at any time.
class ThreadRecorder {
 public:
  static constexpr int64_t kEventsPerStep = 1024;
  static constexpr int64_t kEventsMax = 16384;
  static constexpr int64_t kLastEvents = 200;

  // Whether there is room for messages.
  enum class Keeps { kSpans, kSpansAndMessages };

  // `node`: "worker/0". `thread`: "step". `last_events`: at least 1.
  ThreadRecorder(std::string node, std::string thread, TracedSteps traced, Keeps keeps,
                 int64_t last_events = kLastEvents);

  const std::string& node() const { return node_; }
  const std::string& thread() const { return thread_; }

  // Whether the step is traced.
  bool Wants(int64_t step) const { return traced_.contains(step); }

  // What the thread does from now on belongs to `step`; EndStep: to none.
  void BeginStep(int64_t step) { step_ = step; }
  void EndStep() { step_ = -1; }
  // The step under way; -1: none.
  int64_t step() const { return step_; }

  // Records it among the last events, and where `step` is traced for good. `name`: a string
  // literal. An empty stretch is none.
  void AddSpan(const char* name, int64_t step, int32_t bucket, Clock::time_point begin,
               Clock::time_point end);
  void AddSent(const MessageEnd& message, Clock::time_point time);
  void AddReceived(const MessageEnd& message, Clock::time_point time);

  // What was recorded of the traced steps: spans by begin, those around others first; messages by
  // time. Times are the clock's own.
  ThreadTrace Trace() const;

  // The last events, in the order in which they were over. Any thread.
  std::vector<KeptEvent> last_events() const { return last_.Read(); }

 private:
  // A place for `count` events at most, of which the first `used` are taken.
  template <typename Event>
  struct Events {
    std::vector<Event> all;
    int64_t used = 0;
  };
  template <typename Event>
  void Keep(Events<Event>* events, const Event& event);

  const std::string node_;
  const std::string thread_;
  const TracedSteps traced_;
  int64_t step_ = -1;
  EventRing last_;
  Events<SpanEvent> spans_;
  Events<MessageEvent> sent_;
  Events<MessageEvent> received_;
  int64_t dropped_ = 0;
};

// Adds to `trace` what is given: spans by begin, those around others first; messages in their
// order.
void AddSpans(std::vector<SpanEvent> spans, ThreadTrace* trace);
void AddMessages(absl::Span<const MessageEvent> messages,
                 google::protobuf::RepeatedPtrField<TraceMessage>* out);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_THREAD_RECORDER_H_
