#include "experiments/trace/chrome_trace.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/formats/json.h"
#include "experiments/trace/last_words_text.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

const char* CategoryOf(const std::string& phase) {
  static const auto* const kCategories = new std::map<std::string, const char*>{
      {"step", "step"},         {"gate", "wait"},       {"exposed", "wait"},
      {"parked", "wait"},       {"skew", "wait"},       {"load", "compute"},
      {"upload", "compute"},    {"forward", "compute"}, {"backward", "compute"},
      {"download", "compute"},  {"update", "compute"},  {"encode", "exchange"},
      {"exchange", "exchange"}, {"reduce", "exchange"}, {"decode", "exchange"},
      {"send", "exchange"},     {"push", "server"},     {"pull", "server"},
      {"add", "compute"}};
  const auto found = kCategories->find(phase);
  return found == kCategories->end() ? "other" : found->second;
}

// Workers first, by rank, then servers.
std::tuple<bool, size_t, std::string> NodeOrder(const std::string& node) {
  return {absl::StartsWith(node, "server/"), node.size(), node};
}

// One track of the trace.
struct Thread {
  const ThreadTrace* trace = nullptr;
  int64_t process = 0;
  int64_t number = 0;
  std::vector<int> parents;         // of each span the one around it; -1: none
  std::vector<int64_t> sent_bytes;  // by span, in itself and in none within it
  std::vector<int64_t> received_bytes;

  int64_t begin(int span) const { return trace->spans(span).begin_ns(); }
  int64_t end(int span) const { return begin(span) + trace->spans(span).duration_ns(); }

  // The innermost span at that time; -1: none.
  int SpanAt(int64_t time) const {
    const auto& spans = trace->spans();
    const auto after =
        std::upper_bound(spans.begin(), spans.end(), time,
                         [](int64_t t, const TraceSpan& span) { return t < span.begin_ns(); });
    int span = static_cast<int>(after - spans.begin()) - 1;
    while (span >= 0 && end(span) < time) span = parents[span];
    return span;
  }
};

// One end of a message, in the span where it belongs.
struct FlowEnd {
  const Thread* thread = nullptr;
  int span = -1;
  int64_t time = 0;
  const TraceMessage* message = nullptr;
};

struct Flow {
  FlowEnd sent;
  FlowEnd received;
};

// What both ends of a message have in common.
using MessageName =
    std::tuple<std::string, std::string, std::string, int64_t, int32_t, int32_t, int32_t, int32_t>;

MessageName NameOf(const std::string& from, const std::string& to, const TraceMessage& message) {
  return {from,
          to,
          message.kind(),
          message.step(),
          message.bucket(),
          message.round(),
          message.piece(),
          message.channel()};
}

std::vector<Thread> ThreadsOf(const RunRecord& record) {
  std::vector<Thread> threads;
  for (const ProcessReport& report : record.reports()) {
    for (const ThreadTrace& trace : report.traces()) threads.push_back({&trace});
  }
  // Of a failed run, which has no reports.
  for (const LastWords& words : record.last_words()) {
    for (const NodeLastWords& node : words.nodes()) {
      for (const ThreadTrace& trace : node.threads()) threads.push_back({&trace});
    }
  }
  // A node's threads stay in the order in which it lists them: the one that computes first.
  std::stable_sort(threads.begin(), threads.end(), [](const Thread& a, const Thread& b) {
    return NodeOrder(a.trace->node()) < NodeOrder(b.trace->node());
  });
  int64_t process = 0;
  for (size_t i = 0; i < threads.size(); ++i) {
    Thread& thread = threads[i];
    if (i == 0 || thread.trace->node() != threads[i - 1].trace->node()) ++process;
    thread.process = process;
    // some viewers want a thread's number once in all processes
    thread.number = static_cast<int64_t>(i) + 1;
    std::vector<int> open;
    for (int span = 0; span < thread.trace->spans_size(); ++span) {
      while (!open.empty() && thread.end(open.back()) <= thread.begin(span)) open.pop_back();
      thread.parents.push_back(open.empty() ? -1 : open.back());
      open.push_back(span);
    }
    thread.sent_bytes.resize(thread.parents.size());
    thread.received_bytes.resize(thread.parents.size());
  }
  return threads;
}

FlowEnd EndAt(const Thread& thread, const TraceMessage& message) {
  FlowEnd end{&thread, thread.SpanAt(message.time_ns()), message.time_ns(), &message};
  // Viewers look for the span that has begun and not ended.
  if (end.span >= 0) end.time = std::min(end.time, thread.end(end.span) - 1);
  return end;
}

// The messages both of whose ends are there, and adds each end's bytes to its span.
std::vector<Flow> MatchMessages(std::vector<Thread>* threads, int64_t* single_ends) {
  std::map<MessageName, std::deque<FlowEnd>> arrived;
  int64_t ends = 0;
  for (Thread& thread : *threads) {
    for (const TraceMessage& message : thread.trace->received()) {
      const FlowEnd end = EndAt(thread, message);
      ++ends;
      if (end.span < 0) continue;
      thread.received_bytes[end.span] += message.payload_bytes();
      arrived[NameOf(message.peer(), thread.trace->node(), message)].push_back(end);
    }
  }
  std::vector<Flow> flows;
  for (Thread& thread : *threads) {
    for (const TraceMessage& message : thread.trace->sent()) {
      const FlowEnd end = EndAt(thread, message);
      ++ends;
      if (end.span < 0) continue;
      thread.sent_bytes[end.span] += message.payload_bytes();
      const auto found = arrived.find(NameOf(thread.trace->node(), message.peer(), message));
      if (found == arrived.end() || found->second.empty()) continue;
      flows.push_back({end, found->second.front()});
      found->second.pop_front();
    }
  }
  *single_ends = ends - 2 * static_cast<int64_t>(flows.size());
  return flows;
}

// What was recorded before worker 0 started must not come before 0.
int64_t ZeroOf(const std::vector<Thread>& threads) {
  int64_t zero = 0;
  for (const Thread& thread : threads) {
    for (const TraceSpan& span : thread.trace->spans()) zero = std::min(zero, span.begin_ns());
  }
  return zero;
}

// Collects events, an event a line.
class Events {
 public:
  explicit Events(int64_t zero_ns) : zero_ns_(zero_ns) {}

  void Name(const Thread& thread, bool of_process, const std::string& name) {
    const char* what = of_process ? "process" : "thread";
    const int64_t order = of_process ? thread.process : thread.number;
    Add(Of(absl::StrCat(what, "_name"), "M", thread, {{"name", name}}));
    Add(Of(absl::StrCat(what, "_sort_index"), "M", thread, {{"sort_index", order}}));
  }

  void Span(const Thread& thread, int index) {
    const TraceSpan& span = thread.trace->spans(index);
    Json args = {{"step", span.step()}};
    if (span.bucket() >= 0) args["bucket"] = span.bucket();
    if (thread.sent_bytes[index] > 0) args["sent_bytes"] = thread.sent_bytes[index];
    if (thread.received_bytes[index] > 0) args["received_bytes"] = thread.received_bytes[index];
    Json event = Of(span.phase(), "X", thread, args);
    event["cat"] = CategoryOf(span.phase());
    event["ts"] = Microseconds(span.begin_ns() - zero_ns_);
    event["dur"] = Microseconds(span.duration_ns());
    Add(event);
  }

  void FlowEndOf(const FlowEnd& end, const char* kind, int64_t id) {
    const TraceMessage& message = *end.message;
    Json args = {
        {"step", message.step()}, {"bucket", message.bucket()}, {"bytes", message.payload_bytes()}};
    if (message.round() != 0) args["round"] = message.round();
    if (message.piece() != 0) args["piece"] = message.piece();
    if (message.channel() != 0) args["channel"] = message.channel();
    Json event = Of(message.kind(), kind, *end.thread, args);
    event["cat"] = "message";
    event["id"] = id;
    // To the span around it, not to the next one.
    if (*kind == 'f') event["bp"] = "e";
    event["ts"] = Microseconds(end.time - zero_ns_);
    Add(event);
  }

  void Counter(const Thread& thread, const std::string& name, int64_t time_ns, int64_t value) {
    Json event = Of(name, "C", thread, {{"bytes", value}});
    event["ts"] = Microseconds(time_ns - zero_ns_);
    Add(event);
  }

  const std::string& text() const { return text_; }

 private:
  static double Microseconds(int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1000;
  }

  static Json Of(const std::string& name, const char* kind, const Thread& thread, Json args) {
    Json event = Json::Object();
    event["ph"] = kind;
    event["name"] = name;
    event["pid"] = thread.process;
    event["tid"] = thread.number;
    event["args"] = std::move(args);
    return event;
  }

  void Add(const Json& event) { absl::StrAppend(&text_, text_.empty() ? "" : ",\n", event.Dump()); }

  const int64_t zero_ns_;
  std::string text_;
};

// How many bytes each node has sent that have not arrived, whenever that changes.
void AddInFlight(const std::vector<Flow>& flows, Events* events) {
  // by process: time, bytes
  std::map<int64_t, std::vector<std::tuple<int64_t, int64_t, const Thread*>>> changes;
  for (const Flow& flow : flows) {
    const int64_t bytes = flow.sent.message->payload_bytes();
    if (bytes == 0) continue;
    auto& of_process = changes[flow.sent.thread->process];
    of_process.emplace_back(flow.sent.time, bytes, flow.sent.thread);
    of_process.emplace_back(std::max(flow.sent.time, flow.received.time), -bytes, flow.sent.thread);
  }
  for (auto& [process, all] : changes) {
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return std::get<0>(a) < std::get<0>(b); });
    int64_t bytes = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const auto& [time, change, thread] = all[i];
      bytes += change;
      if (i + 1 < all.size() && std::get<0>(all[i + 1]) == time) continue;
      events->Counter(*thread, "bytes sent, not arrived", time, bytes);
    }
  }
}

Json AboutRun(const RunRecord& record, const ChromeTrace& trace) {
  Json about = {{"run_id", record.run_id()},
                {"arm", record.spec().name()},
                {"started_at", record.started_at()},
                {"model", record.spec().model().name()},
                {"workers", record.spec().training().workers()},
                {"transport", record.summary().transport()},
                {"commit", record.build().commit()},
                {"dropped_events", trace.dropped},
                {"message_ends_without_the_other", trace.single_ends}};
  if (record.last_words_size() > 0) {
    about["status"] = record.status();
    about["last_words"] = LastWordsText(record.last_words());
  }
  return about;
}

}  // namespace

ChromeTrace MakeChromeTrace(const RunRecord& record) {
  ChromeTrace trace;
  std::vector<Thread> threads = ThreadsOf(record);
  const std::vector<Flow> flows = MatchMessages(&threads, &trace.single_ends);
  Events events(ZeroOf(threads));
  std::set<int64_t> steps;
  int64_t named_process = 0;
  for (const Thread& thread : threads) {
    if (thread.process != named_process)
      events.Name(thread, /*of_process=*/true, thread.trace->node());
    named_process = thread.process;
    events.Name(thread, /*of_process=*/false, thread.trace->thread());
    for (const TraceSpan& span : thread.trace->spans()) steps.insert(span.step());
    trace.spans += thread.trace->spans_size();
    trace.dropped += thread.trace->dropped();
  }
  trace.threads = static_cast<int64_t>(threads.size());
  trace.steps = static_cast<int64_t>(steps.size());
  trace.messages = static_cast<int64_t>(flows.size());
  // Spans before the flows that are bound to them.
  for (const Thread& thread : threads) {
    for (int span = 0; span < thread.trace->spans_size(); ++span) events.Span(thread, span);
  }
  for (size_t i = 0; i < flows.size(); ++i) {
    events.FlowEndOf(flows[i].sent, "s", static_cast<int64_t>(i) + 1);
    events.FlowEndOf(flows[i].received, "f", static_cast<int64_t>(i) + 1);
  }
  AddInFlight(flows, &events);
  trace.json =
      absl::StrCat("{\"displayTimeUnit\":\"ms\",\"otherData\":", AboutRun(record, trace).Dump(),
                   ",\"traceEvents\":[\n", events.text(), "\n]}\n");
  return trace;
}

}  // namespace ringmaster
