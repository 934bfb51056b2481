#include "common/trace/node_traces.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/machine/host_identity.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using Keeps = ThreadRecorder::Keeps;

// Of each worker's pulls at a server's gate: there may be many workers.
constexpr int64_t kLastParked = 8;

void Add(const ThreadRecorder& recorder, ProcessReport* report) {
  ThreadTrace trace = recorder.Trace();
  if (trace.spans_size() + trace.sent_size() + trace.received_size() == 0) return;
  *report->add_traces() = std::move(trace);
}

int64_t Nanoseconds(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// Of the monotonic clock, which begins anew with every boot and may be another in a container.
std::string ClockName() {
  char name_space[64] = {};
  const ssize_t length = readlink("/proc/self/ns/time", name_space, sizeof(name_space) - 1);
  return absl::StrCat(ReadHostIdentity().boot_id, " ", length > 0 ? name_space : "time");
}

void Shift(int64_t nanoseconds, ThreadTrace* trace) {
  for (TraceSpan& span : *trace->mutable_spans()) span.set_begin_ns(span.begin_ns() + nanoseconds);
  for (auto* messages : {trace->mutable_sent(), trace->mutable_received()}) {
    for (TraceMessage& message : *messages) message.set_time_ns(message.time_ns() + nanoseconds);
  }
}

// One of the threads of a node, and what of its last events is told.
struct Told {
  const ThreadRecorder* recorder = nullptr;
  std::vector<SpanEvent> spans;
  std::vector<MessageEvent> sent;
  std::vector<MessageEvent> received;
};

// The last events that all threads together had by `now`, to `words`. `open`: a span to add to the
// first thread's, if it is not empty.
void AddLastEvents(std::vector<Told> threads, Clock::time_point now, const SpanEvent& open,
                   NodeLastWords* words) {
  std::vector<std::pair<Clock::time_point, std::pair<size_t, KeptEvent>>> all;
  for (size_t i = 0; i < threads.size(); ++i) {
    for (const KeptEvent& event : threads[i].recorder->last_events()) {
      if (event.time() <= now) all.push_back({event.time(), {i, event}});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const bool is_open = open.begin < open.end;
  const size_t kept = std::min<size_t>(all.size(), ThreadRecorder::kLastEvents - (is_open ? 1 : 0));
  for (auto event = all.end() - static_cast<int64_t>(kept); event != all.end(); ++event) {
    const auto& [thread, what] = event->second;
    Told& told = threads[thread];
    if (what.kind == KeptEvent::Kind::kSpan) told.spans.push_back(what.span);
    if (what.kind == KeptEvent::Kind::kSent) told.sent.push_back(what.message);
    if (what.kind == KeptEvent::Kind::kReceived) told.received.push_back(what.message);
  }
  if (is_open) threads[0].spans.push_back(open);
  for (Told& told : threads) {
    if (told.spans.size() + told.sent.size() + told.received.size() == 0) continue;
    ThreadTrace* trace = words->add_threads();
    trace->set_node(told.recorder->node());
    trace->set_thread(told.recorder->thread());
    AddSpans(std::move(told.spans), trace);
    AddMessages(told.sent, trace->mutable_sent());
    AddMessages(told.received, trace->mutable_received());
  }
}

// When the thread's last event was over; `now`: there is none.
Clock::time_point LastEvent(const ThreadRecorder& recorder, Clock::time_point now) {
  const std::vector<KeptEvent> events = recorder.last_events();
  return events.empty() ? now : std::min(now, events.back().time());
}

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// The phases of a worker as literals, which is what spans are named by.
const char* LiteralOf(absl::string_view phase) {
  for (const char* name : {"start", "drain", "recall", "evaluate", "final loss", "farewell"}) {
    if (phase == name) return name;
  }
  for (int i = 0; i < kPhaseCount; ++i) {
    if (phase == PhaseName(static_cast<Phase>(i))) return PhaseName(static_cast<Phase>(i));
  }
  return "another phase";
}

}  // namespace

TracedSteps TracedStepsOf(const RunSpec& spec) {
  const TrainingSpec& training = spec.training();
  const int64_t begin = std::min<int64_t>(training.warmup_steps(), training.steps());
  return {begin, std::min<int64_t>(training.steps(), begin + spec.output().trace_steps())};
}

WorkerTraces::WorkerTraces(int32_t rank, TracedSteps traced)
    : step(absl::StrCat("worker/", rank), "step", traced, Keeps::kSpans),
      exchange(absl::StrCat("worker/", rank), "exchange", traced, Keeps::kSpansAndMessages) {}

void WorkerTraces::AddTo(ProcessReport* report) const {
  Add(step, report);
  Add(exchange, report);
}

void WorkerTraces::AddLast(Clock::time_point now, NodeLastWords* words) const {
  const NodeActivity& activity = words->activity();
  const Clock::time_point since = LastEvent(step, now);
  words->set_since_seconds(Seconds(now - since));
  SpanEvent open;
  if (activity.state() != NodeActivity::DONE)
    open = {LiteralOf(activity.phase()), activity.step(), -1, since, now};
  AddLastEvents({{&step}, {&exchange}}, now, open, words);
}

ServerTraces::ServerTraces(int32_t index, int32_t workers, TracedSteps traced)
    : shard(absl::StrCat("server/", index), "shard", traced, Keeps::kSpansAndMessages) {
  for (int32_t worker = 0; worker < workers; ++worker) {
    parked.emplace_back(absl::StrCat("server/", index), absl::StrCat("parked worker/", worker),
                        traced, Keeps::kSpans, kLastParked);
  }
}

void ServerTraces::AddTo(ProcessReport* report) const {
  Add(shard, report);
  for (const ThreadRecorder& recorder : parked) Add(recorder, report);
}

void ServerTraces::AddLast(Clock::time_point now, NodeLastWords* words) const {
  words->set_since_seconds(Seconds(now - LastEvent(shard, now)));
  std::vector<Told> threads = {{&shard}};
  for (const ThreadRecorder& recorder : parked) threads.push_back({&recorder});
  AddLastEvents(std::move(threads), now, SpanEvent(), words);
}

TraceClock ThisTraceClock(Clock::time_point welcomed, Clock::time_point started) {
  TraceClock clock;
  clock.set_name(ClockName());
  clock.set_welcomed_ns(Nanoseconds(welcomed));
  clock.set_started_ns(Nanoseconds(started));
  return clock;
}

int64_t ClockOffset(const TraceClock& own, const TraceClock& zero, int64_t zero_ns) {
  const int64_t ahead = own.name() == zero.name() ? 0 : own.welcomed_ns() - zero.welcomed_ns();
  return -ahead - zero_ns;
}

void AlignTraces(google::protobuf::RepeatedPtrField<ProcessReport>* reports) {
  const auto is_first = [](const ProcessReport& report) {
    return report.trace_clock().started_ns() != 0;
  };
  const auto first = std::find_if(reports->begin(), reports->end(), is_first);
  const TraceClock zero = first == reports->end() ? TraceClock() : first->trace_clock();
  for (ProcessReport& report : *reports) {
    const int64_t offset = ClockOffset(report.trace_clock(), zero, zero.started_ns());
    if (zero.started_ns() != 0) {
      for (ThreadTrace& trace : *report.mutable_traces()) Shift(offset, &trace);
    }
    for (ServerReport& server : *report.mutable_servers()) {
      if (zero.started_ns() == 0) server.clear_mark_ns();
      for (int64_t& mark : *server.mutable_mark_ns()) mark = mark == 0 ? 0 : mark + offset;
    }
    report.clear_trace_clock();
  }
}

void AlignLastEvents(google::protobuf::RepeatedPtrField<LastWords>* words) {
  TraceClock zero;
  for (const LastWords& of_process : *words) {
    const TraceClock& clock = of_process.clock();
    if (zero.started_ns() == 0 && clock.started_ns() != 0) zero = clock;
    if (zero.welcomed_ns() == 0) zero = clock;
  }
  const int64_t zero_ns = zero.started_ns() != 0 ? zero.started_ns() : zero.welcomed_ns();
  for (LastWords& of_process : *words) {
    const int64_t offset = ClockOffset(of_process.clock(), zero, zero_ns);
    for (NodeLastWords& node : *of_process.mutable_nodes()) {
      for (ThreadTrace& thread : *node.mutable_threads()) Shift(offset, &thread);
    }
    of_process.clear_clock();
  }
}

}  // namespace ringmaster
