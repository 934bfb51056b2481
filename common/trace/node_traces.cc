#include "common/trace/node_traces.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/machine/host_identity.h"

namespace ringmaster {
namespace {

using Keeps = ThreadRecorder::Keeps;

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

ServerTraces::ServerTraces(int32_t index, int32_t workers, TracedSteps traced)
    : shard(absl::StrCat("server/", index), "shard", traced, Keeps::kSpansAndMessages) {
  for (int32_t worker = 0; worker < workers; ++worker) {
    parked.emplace_back(absl::StrCat("server/", index), absl::StrCat("parked worker/", worker),
                        traced, Keeps::kSpans);
  }
}

void ServerTraces::AddTo(ProcessReport* report) const {
  Add(shard, report);
  for (const ThreadRecorder& recorder : parked) Add(recorder, report);
}

TraceClock ThisTraceClock(Clock::time_point welcomed, Clock::time_point started) {
  TraceClock clock;
  clock.set_name(ClockName());
  clock.set_welcomed_ns(Nanoseconds(welcomed));
  clock.set_started_ns(Nanoseconds(started));
  return clock;
}

void AlignTraces(google::protobuf::RepeatedPtrField<ProcessReport>* reports) {
  const auto is_first = [](const ProcessReport& report) {
    return report.trace_clock().started_ns() != 0;
  };
  const auto first = std::find_if(reports->begin(), reports->end(), is_first);
  const TraceClock zero = first == reports->end() ? TraceClock() : first->trace_clock();
  for (ProcessReport& report : *reports) {
    const TraceClock& own = report.trace_clock();
    const int64_t ahead = own.name() == zero.name() ? 0 : own.welcomed_ns() - zero.welcomed_ns();
    if (zero.started_ns() != 0) {
      for (ThreadTrace& trace : *report.mutable_traces()) Shift(-ahead - zero.started_ns(), &trace);
    }
    report.clear_trace_clock();
  }
}

}  // namespace ringmaster
