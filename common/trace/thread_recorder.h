#ifndef RINGMASTER_COMMON_TRACE_THREAD_RECORDER_H_
#define RINGMASTER_COMMON_TRACE_THREAD_RECORDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/message.h"
#include "common/trace/phase.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Which steps are recorded: [begin, end).
struct TracedSteps {
  int64_t begin = 0;
  int64_t end = 0;
  bool contains(int64_t step) const { return begin <= step && step < end; }
  int64_t count() const { return end - begin; }
};

// One end of a message. `kind`: a string literal; null: the tag's.
struct MessageEnd {
  NodeId peer;
  Tag tag;
  int64_t step = 0;  // of the training, where the tag counts something else
  int64_t payload_bytes = 0;
  const char* kind = nullptr;
};

// What one thread does in the traced steps, in memory of fixed size: kEventsPerStep spans, and as
// many messages each way, for every traced step, kEventsMax at most. All of it is taken at
// construction; recording allocates nothing. What has no room is counted and left out. One
// thread's; Trace is called after it has been joined or handed over.
class ThreadRecorder {
 public:
  static constexpr int64_t kEventsPerStep = 1024;
  static constexpr int64_t kEventsMax = 16384;

  // Whether there is room for messages.
  enum class Keeps { kSpans, kSpansAndMessages };

  // `node`: "worker/0". `thread`: "step".
  ThreadRecorder(std::string node, std::string thread, TracedSteps traced, Keeps keeps);

  bool Wants(int64_t step) const { return traced_.contains(step); }

  // What the thread does from now on belongs to `step`; EndStep: to none.
  void BeginStep(int64_t step) { step_ = Wants(step) ? step : -1; }
  void EndStep() { step_ = -1; }
  // The step under way where it is traced, else -1.
  int64_t step() const { return step_; }

  // Records it where `step` is traced. `name`: a string literal. An empty stretch is none.
  void AddSpan(const char* name, int64_t step, int32_t bucket, Clock::time_point begin,
               Clock::time_point end);
  void AddSent(const MessageEnd& message, Clock::time_point time);
  void AddReceived(const MessageEnd& message, Clock::time_point time);

  // What was recorded: spans by begin, those around others first; messages by time. Times are the
  // clock's own.
  ThreadTrace Trace() const;

 private:
  struct Span {
    const char* name = nullptr;
    int64_t step = 0;
    int32_t bucket = -1;
    Clock::time_point begin;
    Clock::time_point end;
  };
  struct Message {
    MessageEnd end;
    Clock::time_point time;
  };
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
  Events<Span> spans_;
  Events<Message> sent_;
  Events<Message> received_;
  int64_t dropped_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_THREAD_RECORDER_H_
