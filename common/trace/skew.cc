#include "common/trace/skew.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/trace/node_traces.h"
#include "common/trace/phase.h"
#include "common/trace/timed_steps.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

// A worker and what it measured, on the clock of the first process.
struct Waits {
  ProcessReport* process = nullptr;
  WorkerReport* worker = nullptr;
  std::vector<int64_t> computed_ns;  // by step
};

struct Stretch {
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  int exchange = 0;  // the step whose exchange was waited for; below 0: of before the run
};

int64_t Nanoseconds(double milliseconds) { return static_cast<int64_t>(1e6 * milliseconds); }

// What began before the step had computed belongs to the exchange of the step before.
Stretch WaitOf(const Waits& waits, int step) {
  const float begin_ms = waits.worker->wait_begin_ms(step);
  const int64_t begin = waits.computed_ns[step] + Nanoseconds(begin_ms);
  return {begin, begin + Nanoseconds(waits.worker->wait_ms(step)), begin_ms < 0 ? step - 1 : step};
}

// When the last rank had computed the step's gradients.
int64_t LastComputedNs(const std::vector<Waits>& all, int step) {
  int64_t last = std::numeric_limits<int64_t>::min();
  for (const Waits& waits : all) last = std::max(last, waits.computed_ns[step]);
  return last;
}

// Of a stretch, how long the last rank still computed.
int64_t SkewNs(const std::vector<Waits>& all, const Stretch& wait) {
  if (wait.exchange < 0) return 0;
  return std::clamp<int64_t>(LastComputedNs(all, wait.exchange) - wait.begin_ns, 0,
                             wait.end_ns - wait.begin_ns);
}

// Adds the skew of the traced steps to their exposed stretches.
void AddSpans(const std::vector<Waits>& all, const Waits& waits, ThreadTrace* trace) {
  std::vector<TraceSpan> spans;
  for (const TraceSpan& span : trace->spans()) {
    spans.push_back(span);
    const auto steps = static_cast<int64_t>(waits.computed_ns.size());
    if (span.phase() != PhaseName(Phase::kExposed) || span.step() >= steps) continue;
    const Stretch wait = WaitOf(waits, static_cast<int>(span.step()));
    const int64_t skew_ns = std::min(SkewNs(all, wait), span.duration_ns());
    if (skew_ns == 0) continue;
    TraceSpan& skew = spans.emplace_back(span);
    skew.set_phase("skew");
    skew.set_duration_ns(skew_ns);
  }
  trace->mutable_spans()->Assign(spans.begin(), spans.end());
}

void Measure(const std::vector<Waits>& all) {
  for (const Waits& waits : all) {
    const auto steps = static_cast<int64_t>(waits.computed_ns.size());
    double skew_ns = 0;
    int64_t measured = 0;
    for (const int32_t step : TimedSteps(*waits.worker)) {
      if (step >= steps) break;
      skew_ns += static_cast<double>(SkewNs(all, WaitOf(waits, step)));
      ++measured;
    }
    if (measured > 0) waits.worker->set_skew_ms(skew_ns / 1e6 / static_cast<double>(measured));
    const std::string node = absl::StrCat("worker/", waits.worker->rank());
    for (ThreadTrace& trace : *waits.process->mutable_traces()) {
      if (trace.node() == node && trace.thread() == "step") AddSpans(all, waits, &trace);
    }
  }
}

}  // namespace

void MeasureSkew(bool waits_for_all, google::protobuf::RepeatedPtrField<ProcessReport>* reports) {
  std::vector<Waits> all;
  for (ProcessReport& process : *reports) {
    for (WorkerReport& worker : *process.mutable_workers()) {
      const TraceClock& zero = all.empty() ? process.trace_clock() : all[0].process->trace_clock();
      Waits& waits = all.emplace_back();
      waits.process = &process;
      waits.worker = &worker;
      int64_t time_ns = ClockOffset(process.trace_clock(), zero, 0);
      for (const int64_t since_last_ns : worker.computed_ns())
        waits.computed_ns.push_back(time_ns += since_last_ns);
    }
  }
  const auto is_whole = [&](const Waits& waits) {
    const size_t steps = all[0].computed_ns.size();
    return steps > 0 && waits.computed_ns.size() == steps &&
           static_cast<size_t>(waits.worker->wait_begin_ms_size()) == steps &&
           static_cast<size_t>(waits.worker->wait_ms_size()) == steps;
  };
  if (waits_for_all && all.size() > 1 && std::all_of(all.begin(), all.end(), is_whole))
    Measure(all);
  for (const Waits& waits : all) {
    waits.worker->clear_computed_ns();
    waits.worker->clear_wait_begin_ms();
    waits.worker->clear_wait_ms();
  }
}

}  // namespace ringmaster
