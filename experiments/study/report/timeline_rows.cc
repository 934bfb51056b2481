// Rows of the timeline: a few steps of every thread of a run, and the messages between them.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/panels.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

// As many of a run's traced steps as a reader can follow, and a page can hold.
constexpr size_t kSteps = 3;
constexpr size_t kRowsMax = 1500;

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

}  // namespace

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
