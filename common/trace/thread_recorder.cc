#include "common/trace/thread_recorder.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace ringmaster {
namespace {

int64_t Nanoseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

ThreadRecorder::ThreadRecorder(std::string node, std::string thread, TracedSteps traced,
                               Keeps keeps)
    : node_(std::move(node)), thread_(std::move(thread)), traced_(traced) {
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
  if (Wants(step) && begin < end) Keep(&spans_, {name, step, bucket, begin, end});
}

void ThreadRecorder::AddSent(const MessageEnd& message, Clock::time_point time) {
  if (Wants(message.step)) Keep(&sent_, {message, time});
}

void ThreadRecorder::AddReceived(const MessageEnd& message, Clock::time_point time) {
  if (Wants(message.step)) Keep(&received_, {message, time});
}

ThreadTrace ThreadRecorder::Trace() const {
  ThreadTrace trace;
  trace.set_node(node_);
  trace.set_thread(thread_);
  trace.set_dropped(dropped_);
  std::vector<Span> spans(spans_.all.begin(), spans_.all.begin() + spans_.used);
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return std::tie(a.begin, b.end) < std::tie(b.begin, a.end);
  });
  for (const Span& span : spans) {
    TraceSpan* out = trace.add_spans();
    out->set_phase(span.name);
    out->set_step(span.step);
    out->set_bucket(span.bucket);
    out->set_begin_ns(Nanoseconds(span.begin.time_since_epoch()));
    out->set_duration_ns(Nanoseconds(span.end - span.begin));
  }
  const auto add_messages = [](const Events<Message>& messages,
                               google::protobuf::RepeatedPtrField<TraceMessage>* out) {
    for (int64_t i = 0; i < messages.used; ++i) {
      const MessageEnd& end = messages.all[i].end;
      TraceMessage* message = out->Add();
      message->set_peer(ToString(end.peer));
      message->set_kind(end.kind != nullptr ? end.kind : KindName(end.tag.kind));
      message->set_step(end.step);
      message->set_bucket(end.tag.bucket);
      message->set_round(end.tag.round);
      message->set_piece(end.tag.piece);
      message->set_channel(end.tag.channel);
      message->set_payload_bytes(end.payload_bytes);
      message->set_time_ns(Nanoseconds(messages.all[i].time.time_since_epoch()));
    }
  };
  add_messages(sent_, trace.mutable_sent());
  add_messages(received_, trace.mutable_received());
  return trace;
}

}  // namespace ringmaster
