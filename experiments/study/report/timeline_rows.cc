// Rows of what happens when: a few steps of every thread of a run, and the messages between them;
// how a run gets on around a fault.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/config/describe.h"
#include "common/formats/json.h"
#include "experiments/program/run/faults/fault.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/fault_text.h"
#include "experiments/study/report/panels.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

// As many of a run's traced steps as a reader can follow, and a page can hold.
constexpr size_t kSteps = 3;
constexpr size_t kRowsMax = 1500;
// Stretches of time in which the progress around a fault is counted.
constexpr int kFaultPoints = 60;

// Sender, receiver, and what else the two ends of a message have in common.
using MessageKey =
    std::tuple<std::string, std::string, std::string, int64_t, int32_t, int32_t, int32_t, int32_t>;

std::vector<const ThreadTrace*> TracesOf(const RunRecord& record) {
  std::vector<const ThreadTrace*> traces;
  for (const ProcessReport& process : record.reports()) {
    for (const ThreadTrace& trace : process.traces()) traces.push_back(&trace);
  }
  return traces;
}

std::string Track(const ThreadTrace& trace) {
  return absl::StrCat(trace.node(), " ", trace.thread());
}

// The first steps that were traced.
std::set<int64_t> ShownSteps(const std::vector<const ThreadTrace*>& traces) {
  std::set<int64_t> steps;
  for (const ThreadTrace* trace : traces) {
    for (const TraceSpan& span : trace->spans()) steps.insert(span.step());
  }
  while (steps.size() > kSteps) steps.erase(std::prev(steps.end()));
  return steps;
}

// Milliseconds since the first shown span began.
class Axis {
 public:
  Axis(const std::vector<const ThreadTrace*>& traces, const std::set<int64_t>& steps) {
    for (const ThreadTrace* trace : traces) {
      for (const TraceSpan& span : trace->spans()) {
        if (steps.count(span.step()) > 0) begin_ = std::min(begin_, span.begin_ns());
      }
    }
  }
  // To a tenth of a microsecond.
  double Milliseconds(int64_t nanoseconds) const {
    return std::round(static_cast<double>(nanoseconds - begin_) / 100) / 1e4;
  }

 private:
  int64_t begin_ = std::numeric_limits<int64_t>::max();
};

void AddSpans(const Json& base, const ThreadTrace& trace, const std::set<int64_t>& steps,
              const Axis& axis, Json* rows) {
  for (const TraceSpan& span : trace.spans()) {
    // A step as a whole would cover the line on which its phases stand.
    if (steps.count(span.step()) == 0 || span.phase() == "step") continue;
    Json row = base;
    row["kind"] = "span";
    row["track"] = Track(trace);
    row["phase"] = span.phase();
    row["begin_ms"] = axis.Milliseconds(span.begin_ns());
    row["end_ms"] = axis.Milliseconds(span.begin_ns() + span.duration_ns());
    row["step"] = span.step();
    if (span.bucket() >= 0) row["bucket"] = span.bucket();
    rows->push_back(std::move(row));
  }
}

void AddMessages(const Json& base, const std::vector<const ThreadTrace*>& traces,
                 const std::set<int64_t>& steps, const Axis& axis, Json* rows) {
  struct End {
    const ThreadTrace* trace;
    const TraceMessage* message;
  };
  std::map<MessageKey, End> sent;
  const auto key = [](const std::string& from, const std::string& to, const TraceMessage& message) {
    return MessageKey{from,
                      to,
                      message.kind(),
                      message.step(),
                      message.bucket(),
                      message.round(),
                      message.piece(),
                      message.channel()};
  };
  for (const ThreadTrace* trace : traces) {
    for (const TraceMessage& message : trace->sent())
      sent[key(trace->node(), message.peer(), message)] = {trace, &message};
  }
  for (const ThreadTrace* trace : traces) {
    for (const TraceMessage& message : trace->received()) {
      const auto found = sent.find(key(message.peer(), trace->node(), message));
      if (found == sent.end() || steps.count(message.step()) == 0) continue;
      Json row = base;
      row["kind"] = "message";
      row["track"] = Track(*found->second.trace);
      row["to"] = Track(*trace);
      row["begin_ms"] = axis.Milliseconds(found->second.message->time_ns());
      row["end_ms"] = axis.Milliseconds(message.time_ns());
      row["step"] = message.step();
      if (message.bucket() >= 0) row["bucket"] = message.bucket();
      row["what"] = message.kind();
      row["bytes"] = found->second.message->payload_bytes();
      rows->push_back(std::move(row));
    }
  }
}

// A moment of training, and how many samples of the stream had been computed by then.
struct Moment {
  double seconds = 0;
  double samples = 0;
};

// When a worker began `step` that ended the one before at `seconds`: where a loss was followed by a
// new group or by a new start, those who make the step stood still before it, or were not there.
double BeginOf(int64_t step, double seconds, const RunRecord& record) {
  for (const Loss& loss : record.losses()) {
    if (loss.resumed_step() != step) continue;
    if (loss.reformed()) seconds += loss.detection_seconds() + loss.recovery_seconds();
    if (loss.restarted()) seconds = std::max(seconds, loss.seconds() + loss.recovery_seconds());
  }
  return seconds;
}

// How many samples a worker that is there at the end stands for in `step`, of `reporting` such
// workers: those of lost ones, too, while they were there, or where their work was shared out anew.
double SamplesOf(int64_t step, int reporting, const RunRecord& record) {
  const TrainingSpec& training = record.spec().training();
  const double own = training.batch_per_worker() * static_cast<double>(training.accumulate());
  for (const Loss& loss : record.losses())
    if (!loss.reformed() && !loss.restarted() && step >= loss.step()) return own;
  return own * training.workers() / reporting;
}

// How a run got on, by time. Where work is claimed, lots are dealt in their order, so the highest
// says how far all workers are, those who were lost too.
std::vector<Moment> ProgressOf(const RunRecord& record) {
  const TrainingSpec& training = record.spec().training();
  const double lot = training.batch_per_worker() * static_cast<double>(training.accumulate());
  const bool claims = ClaimedLots(record.spec()) > 0;
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports())
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  std::vector<Moment> moments;
  for (const WorkerReport* worker : workers) {
    double seconds = 0;
    for (int i = 0; i < worker->step_ms_size(); ++i) {
      seconds = BeginOf(i, seconds, record) + worker->step_ms(i) / 1000;
      if (claims && i >= worker->lots_size()) break;
      moments.push_back({seconds, claims ? static_cast<double>(worker->lots(i) + 1) * lot
                                         : SamplesOf(i, static_cast<int>(workers.size()), record)});
    }
  }
  std::sort(moments.begin(), moments.end(),
            [](const Moment& a, const Moment& b) { return a.seconds < b.seconds; });
  double before = 0;
  for (Moment& moment : moments)
    before = moment.samples = claims ? std::max(before, moment.samples) : before + moment.samples;
  return moments;
}

// When a run was in the step of its first fault or loss; absent: nothing has happened to it.
std::optional<double> FaultSeconds(const RunRecord& record, const std::vector<Moment>& progress) {
  // Its step was made again later.
  for (const Loss& loss : record.losses())
    if (loss.restarted()) return loss.seconds() - loss.detection_seconds();
  const TrainingSpec& training = record.spec().training();
  std::optional<int64_t> step;
  for (const InjectedFault& injected : record.faults()) {
    if (!injected.has_seconds()) continue;
    const absl::StatusOr<Fault> fault = ParseFault(injected.fault());
    if (!fault.ok() || !fault->step.has_value()) return injected.seconds();
    step = *fault->step;
    break;
  }
  if (!step.has_value() && record.losses_size() > 0) step = record.losses(0).step();
  if (!step.has_value()) return std::nullopt;
  const double samples = static_cast<double>(*step) * training.workers() *
                         training.batch_per_worker() * static_cast<double>(training.accumulate());
  for (const Moment& moment : progress)
    if (moment.samples >= samples) return *step == 0 ? 0 : moment.seconds;
  return std::nullopt;
}

void AddProgress(const Json& base, const RunRecord& record, Json* rows) {
  const std::vector<Moment> progress = ProgressOf(record);
  const std::optional<double> fault = FaultSeconds(record, progress);
  if (!fault.has_value() || progress.empty()) return;
  const double width = progress.back().seconds / kFaultPoints;
  if (width <= 0) return;
  size_t at = 0;
  double before = 0;
  for (int point = 0; point < kFaultPoints; ++point) {
    const double end = width * (point + 1);
    double samples = before;
    for (; at < progress.size() && (progress[at].seconds <= end || point + 1 == kFaultPoints); ++at)
      samples = progress[at].samples;
    Json row = base;
    row["seconds"] = Rounded(end - width / 2 - *fault);
    row["samples_per_second"] = Rounded((samples - before) / width);
    row["fault"] = FirstFaultText(record);
    rows->push_back(std::move(row));
    before = samples;
  }
}

}  // namespace

ChartRows FaultRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) {
          for (const Trial& trial : cell.trials) {
            const size_t count = rows->size();
            AddProgress(RowOf(comparison, cell), *trial.record, rows);
            if (rows->size() > count) break;  // one run of each arm: lines of several would cross
          }
        }
      },
      "Nothing was done to any run that finished, and none lost a process; `ringmaster compare "
      "--fault` does it.");
}

ChartRows TimelineRows(const Comparisons& comparisons) {
  ChartRows chart;
  std::vector<Panel> alone;  // of runs in which nobody speaks to anybody: the least to see
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      const auto traced =
          std::find_if(cell.trials.begin(), cell.trials.end(),
                       [](const Trial& trial) { return !TracesOf(*trial.record).empty(); });
      if (traced == cell.trials.end()) continue;
      const auto traces = TracesOf(*traced->record);
      std::set<int64_t> steps = ShownSteps(traces);
      Panel panel;
      panel.title = absl::StrCat(cell.arm, ", ", comparison.label);
      // Fewer steps where even one more would be too much to draw.
      for (; !steps.empty(); steps.erase(std::prev(steps.end()))) {
        panel.rows = Json::Array();
        const Axis axis(traces, steps);
        for (const ThreadTrace* trace : traces)
          AddSpans(RowOf(comparison, cell), *trace, steps, axis, &panel.rows);
        AddMessages(RowOf(comparison, cell), traces, steps, axis, &panel.rows);
        if (panel.rows.size() <= kRowsMax || steps.size() == 1) break;
      }
      const auto is_message = [](const Json& row) { return row["kind"].text() == "message"; };
      const bool speaks =
          std::any_of(panel.rows.begin(), panel.rows.end(), is_message) && comparison.workers() > 1;
      if (!panel.rows.empty()) (speaks ? chart.panels : alone).push_back(std::move(panel));
    }
  }
  std::move(alone.begin(), alone.end(), std::back_inserter(chart.panels));
  if (chart.panels.empty()) {
    chart.missing =
        "No finished run was traced: their specs have output.trace_steps = 0, or an older program "
        "made them. Run again without that setting.";
  }
  return chart;
}

}  // namespace ringmaster
