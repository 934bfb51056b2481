#include "experiments/study/predict/simulated_trace.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/trace/phase.h"

namespace ringmaster {
namespace {

Clock::time_point TimeOf(Nanoseconds time) {
  return Clock::time_point(std::chrono::nanoseconds(time));
}

// At least a nanosecond long.
SpanEvent SpanOf(const char* name, int64_t step, int32_t bucket, Nanoseconds begin,
                 Nanoseconds end) {
  return {name, step, bucket, TimeOf(begin), TimeOf(std::max(begin + 1, end))};
}

}  // namespace

TraceExtent TraceExtentOf(const TracedSteps& steps, int64_t threads) {
  const int64_t of_steps = std::min(steps.count() * ThreadRecorder::kEventsPerStep,
                                    static_cast<int64_t>(ThreadRecorder::kEventsMax));
  return {steps, std::min(of_steps, ThreadRecorder::kEventsMax / std::max<int64_t>(1, threads))};
}

template <typename Event>
void SimulatedTrace::Keep(std::vector<Event>* events, const Event& event) {
  if (static_cast<int64_t>(events->size()) < events_max_) {
    events->push_back(event);
  } else {
    ++dropped_;
  }
}

SpanEvent SimulatedTrace::OpenSpan() const {
  return SpanOf(PhaseName(Phase::kExchange), step_, bucket_, begin_, last_);
}

void SimulatedTrace::BeginExchange(int64_t step, int32_t bucket) {
  const Nanoseconds now = queue_->time();
  if (is_open_ && begin_ == now && step_ == step) {
    // Several buckets at once.
    if (bucket_ != bucket) bucket_ = -1;
    return;
  }
  if (is_open_ && begin_ < now) Keep(&spans_, OpenSpan());
  is_open_ = true;
  step_ = step;
  bucket_ = bucket;
  begin_ = last_ = now;
}

void SimulatedTrace::Sent(const MessageEnd& end) {
  last_ = queue_->time();
  Keep(&sent_, {end, TimeOf(last_)});
}

void SimulatedTrace::ReceivedAt(const MessageEnd& end, Nanoseconds time) {
  last_ = time;
  Keep(&received_, {end, TimeOf(time)});
}

void SimulatedTrace::AddSpan(const char* name, int64_t step, int32_t bucket, Nanoseconds begin) {
  const SpanEvent span = SpanOf(name, step, bucket, begin, queue_->time());
  for (auto last = spans_.rbegin(); last != spans_.rend() && last->begin == span.begin; ++last) {
    if (last->name == span.name && last->end == span.end) return;
  }
  Keep(&spans_, span);
}

ThreadEvents SimulatedTrace::Events(std::string node, std::string thread) const {
  ThreadEvents events;
  events.node = std::move(node);
  events.thread = std::move(thread);
  events.spans = spans_;
  if (is_open_) events.spans.push_back(OpenSpan());
  events.sent = sent_;
  events.received = received_;
  events.dropped = dropped_;
  return events;
}

}  // namespace ringmaster
