#include "common/trace/thread_recorder.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "proto/record.pb.h"

namespace ringmaster {
namespace {

int64_t Nanoseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

ThreadRecorder::ThreadRecorder(std::string node, std::string thread, TracedSteps traced,
                               Keeps keeps, int64_t last_events)
    : node_(std::move(node)), thread_(std::move(thread)), traced_(traced), last_(last_events) {
  // Written to now, so that no traced step is the first to touch the memory.
  const int64_t room = std::clamp<int64_t>(traced_.count() * kEventsPerStep, 0, kEventsMax);
  spans_.all.resize(room);
  if (keeps == Keeps::kSpans) return;
  sent_.all.resize(room);
  received_.all.resize(room);
}

template <typename Event>
void ThreadRecorder::Keep(Events<Event>* events, const Event& event) {
  if (events->used == static_cast<int64_t>(events->all.size())) {
    ++dropped_;
    return;
  }
  events->all[events->used++] = event;
}

void ThreadRecorder::AddSpan(const char* name, int64_t step, int32_t bucket,
                             Clock::time_point begin, Clock::time_point end) {
  if (begin >= end) return;
  const SpanEvent span{name, step, bucket, begin, end};
  last_.AddSpan(span);
  if (Wants(step)) Keep(&spans_, span);
}

void ThreadRecorder::AddSent(const MessageEnd& message, Clock::time_point time) {
  last_.AddMessage(KeptEvent::Kind::kSent, message, time);
  if (Wants(message.step)) Keep(&sent_, {message, time});
}

void ThreadRecorder::AddReceived(const MessageEnd& message, Clock::time_point time) {
  last_.AddMessage(KeptEvent::Kind::kReceived, message, time);
  if (Wants(message.step)) Keep(&received_, {message, time});
}

ThreadTrace ThreadRecorder::Trace() const {
  ThreadTrace trace;
  trace.set_node(node_);
  trace.set_thread(thread_);
  trace.set_dropped(dropped_);
  AddSpans({spans_.all.begin(), spans_.all.begin() + spans_.used}, &trace);
  AddMessages(absl::MakeConstSpan(sent_.all).first(sent_.used), trace.mutable_sent());
  AddMessages(absl::MakeConstSpan(received_.all).first(received_.used), trace.mutable_received());
  return trace;
}

void AddSpans(std::vector<SpanEvent> spans, ThreadTrace* trace) {
  std::stable_sort(spans.begin(), spans.end(), [](const SpanEvent& a, const SpanEvent& b) {
    return std::tie(a.begin, b.end) < std::tie(b.begin, a.end);
  });
  for (const SpanEvent& span : spans) {
    TraceSpan* out = trace->add_spans();
    out->set_phase(span.name);
    out->set_step(span.step);
    out->set_bucket(span.bucket);
    out->set_begin_ns(Nanoseconds(span.begin.time_since_epoch()));
    out->set_duration_ns(Nanoseconds(span.end - span.begin));
  }
}

void AddMessages(absl::Span<const MessageEvent> messages,
                 google::protobuf::RepeatedPtrField<TraceMessage>* out) {
  for (const MessageEvent& event : messages) {
    const MessageEnd& end = event.end;
    TraceMessage* message = out->Add();
    message->set_peer(ToString(end.peer));
    message->set_kind(end.kind != nullptr ? end.kind : KindName(end.tag.kind));
    message->set_step(end.step);
    message->set_bucket(end.tag.bucket);
    message->set_round(end.tag.round);
    message->set_piece(end.tag.piece);
    message->set_channel(end.tag.channel);
    message->set_payload_bytes(end.payload_bytes);
    message->set_time_ns(Nanoseconds(event.time.time_since_epoch()));
  }
}

}  // namespace ringmaster
