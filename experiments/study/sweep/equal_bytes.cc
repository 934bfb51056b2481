#include "experiments/study/sweep/equal_bytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/describe.h"
#include "experiments/study/results/columns.h"
#include "experiments/study/results/statistics.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr double kFactor = 4;  // from one column to the next
constexpr size_t kColumnsMost = 6;
constexpr double kRounding = 1e-9;  // of a mark's bytes

// A mark of a run: what a worker had moved by then, and the model's test loss.
struct ScoredMark {
  double bytes = 0;
  double loss = 0;
};

// In order; none where the run has no marks before its end, or its bytes are not metered.
std::vector<ScoredMark> MarksOf(const RunRecord& record) {
  const RunSummary& summary = record.summary();
  if (!IsScored(record.spec()) || !summary.has_bytes_up_per_step()) return {};
  const double bytes_per_sample = (summary.bytes_up_per_step() + summary.bytes_down_per_step()) /
                                  static_cast<double>(summary.global_batch());
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.rank() != 0 || worker.evaluations_size() < 2) continue;
      std::vector<ScoredMark> marks;
      for (const Evaluation& evaluation : worker.evaluations()) {
        marks.push_back({bytes_per_sample * static_cast<double>(evaluation.samples_seen()),
                         evaluation.test_loss()});
      }
      return marks;
    }
  }
  return {};
}

// A cell's trials that were scored at marks.
struct ScoredCell {
  std::string name;
  std::vector<std::vector<ScoredMark>> trials;
};

std::vector<ScoredCell> ScoredCells(const SweepPlan& plan, const std::vector<RunRecord>& records) {
  std::map<std::string, std::map<int32_t, std::vector<ScoredMark>>> by_cell;
  for (const RunRecord& record : records) {
    if (record.status() != "ok") continue;
    std::vector<ScoredMark> marks = MarksOf(record);
    if (!marks.empty()) by_cell[record.sweep().cell()][record.sweep().trial()] = std::move(marks);
  }
  std::vector<ScoredCell> scored;
  for (const PlannedCell& cell : plan.cells) {
    const auto found = by_cell.find(cell.id);
    if (found == by_cell.end()) continue;
    ScoredCell& one = scored.emplace_back();
    one.name = SettingsText(cell.settings);
    for (auto& [trial, marks] : found->second) one.trials.push_back(std::move(marks));
  }
  return scored;
}

// Empty where a trial had moved more by its first mark.
std::string LossText(const ScoredCell& cell, double bytes) {
  std::vector<double> losses;
  bool all_ended = true;
  for (const std::vector<ScoredMark>& marks : cell.trials) {
    const ScoredMark* last = nullptr;
    for (const ScoredMark& mark : marks) {
      if (mark.bytes <= bytes * (1 + kRounding)) last = &mark;
    }
    if (last == nullptr) return "";
    losses.push_back(last->loss);
    all_ended = all_ended && last == &marks.back();
  }
  const MedianInterval interval = BootstrapMedian(losses);
  return absl::StrFormat("%.3f [%.3f, %.3f]%s", interval.median, interval.low, interval.high,
                         all_ended ? "*" : " ");
}

std::string BytesTitle(double bytes) {
  return bytes < 1e6 ? absl::StrFormat("%.3g kB", bytes / 1e3)
                     : absl::StrFormat("%.4g MB", bytes / 1e6);
}

}  // namespace

std::string EqualBytesText(const SweepPlan& plan, const std::vector<RunRecord>& records) {
  const std::vector<ScoredCell> scored = ScoredCells(plan, records);
  if (scored.size() < 2) return "";
  double bytes = 0;
  for (const ScoredCell& cell : scored) {
    for (const auto& marks : cell.trials) bytes = std::max(bytes, marks.back().bytes);
  }
  if (!(bytes > 0)) return "";
  std::vector<std::vector<std::string>> rows = {{"test loss by what a worker has moved"}};
  for (const ScoredCell& cell : scored) rows.push_back({cell.name});
  for (size_t column = 0; column < kColumnsMost; ++column, bytes /= kFactor) {
    std::vector<std::string> texts;
    for (const ScoredCell& cell : scored) texts.push_back(LossText(cell, bytes));
    if (std::all_of(texts.begin(), texts.end(), [](const auto& text) { return text.empty(); }))
      break;
    rows.front().push_back(BytesTitle(bytes));
    for (size_t i = 0; i < texts.size(); ++i)
      rows[i + 1].push_back(texts[i].empty() ? "– " : texts[i]);
  }
  return absl::StrCat("\n", AlignedRows(rows),
                      "payload sent and received; at the last mark before; * the run's end: it "
                      "moved less; – it had moved more by its first mark\n");
}

}  // namespace ringmaster
