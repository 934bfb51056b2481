#include "experiments/study/sweep/sweep_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/run_inputs.h"
#include "common/machine/conditions.h"
#include "experiments/study/results/columns.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/machines.h"
#include "experiments/study/results/statistics.h"
#include "experiments/study/results/summary.h"
#include "experiments/study/simulate/compute_text.h"
#include "experiments/study/sweep/equal_bytes.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr size_t kFewTrials = 5;
constexpr char kUndefined[] = "–";

using Row = std::vector<std::string>;

// The runs that count of one cell, by trial.
using Trials = std::map<int32_t, const RunRecord*>;
using TrialsByCell = std::map<std::string, Trials>;

TrialsByCell GroupTrials(const std::vector<RunRecord>& records) {
  TrialsByCell cells;
  for (const RunRecord& record : records) {
    if (record.status() != "ok") continue;
    cells[record.sweep().cell()][record.sweep().trial()] = &record;
  }
  return cells;
}

// Trials of the plan's settings on files that have been replaced since: by settings, by InputsKey.
using FormerTrials = std::map<std::string, std::map<std::string, Trials>>;

FormerTrials TrialsOnOtherFiles(const SweepPlan& plan, const std::vector<RunRecord>& records) {
  std::map<std::string, std::string> keys;  // of what is there now, by settings
  for (const PlannedCell& cell : plan.cells)
    keys[SettingsJson(cell.settings)] = InputsKey(cell.spec, cell.inputs);
  FormerTrials former;
  for (const RunRecord& record : records) {
    const auto now = keys.find(record.sweep().settings());
    if (record.status() != "ok" || now == keys.end()) continue;
    const std::string key = InputsKey(record.spec(), record.inputs());
    if (key == now->second || key.empty()) continue;
    former[now->first][key][record.sweep().trial()] = &record;
  }
  return former;
}

std::vector<double> ValuesOf(const Figure& figure, const Trials& trials) {
  std::vector<double> values;
  for (const auto& [trial, record] : trials) {
    if (const auto value = figure.value(record->summary())) values.push_back(*value);
  }
  return values;
}

const Figure& Speed() { return FigureByTag("samples_per_second"); }

// Of samples/s, trial by trial; none without pairs.
std::vector<double> RatiosTo(const Trials& base, const Trials& own) {
  std::vector<double> ratios;
  for (const auto& [trial, record] : own) {
    const auto found = base.find(trial);
    const auto speed = Speed().value(record->summary());
    if (found == base.end() || !speed.has_value()) continue;
    ratios.push_back(*speed / CeilingFor(record->summary(), found->second->summary()));
  }
  return ratios;
}

std::string FigureText(const Figure& figure, const Trials& trials, const Trials* solo) {
  const FigureFormat& format = figure.sweep->format;
  const OverTrials over = figure.sweep->over;
  std::vector<double> values;
  if (over != OverTrials::kRatiosToSolo) values = ValuesOf(figure, trials);
  if (over == OverTrials::kRatiosToSolo && solo != nullptr) values = RatiosTo(*solo, trials);
  if (values.empty()) return kUndefined;
  for (double& value : values) value *= format.factor;
  const auto number = [&](double value) { return absl::StrFormat("%.*f", format.decimals, value); };
  if (over == OverTrials::kMedian) return number(Median(values));
  const MedianInterval interval = BootstrapMedian(values);
  return absl::StrCat(number(interval.median), " [", number(interval.low), ", ",
                      number(interval.high), "]");
}

// The values that were found for a cell, with a bar where one lies at its grid's edge.
std::string TunedText(const Trials& trials) {
  if (trials.empty()) return "";
  return absl::StrJoin(trials.begin()->second->summary().tuned(), " ",
                       [](std::string* out, const TunedValue& tuned) {
                         absl::StrAppend(out, tuned.field(), "=", tuned.value(),
                                         tuned.at_edge() ? "|" : "");
                       });
}

Row CellRow(const std::string& name, const Trials& trials, const Trials* solo, size_t planned) {
  Row row = {name, absl::StrCat(trials.size(), "/", planned), TunedText(trials)};
  for (const Figure& figure : Figures()) {
    if (figure.sweep.has_value()) row.push_back(FigureText(figure, trials, solo));
  }
  return row;
}

// `rows` without the columns in which no row but the first says anything.
std::vector<Row> WithoutEmptyColumns(const std::vector<Row>& rows) {
  std::vector<Row> kept(rows.size());
  for (size_t column = 0; column < rows.front().size(); ++column) {
    const bool says = std::any_of(rows.begin() + 1, rows.end(), [column](const Row& row) {
      return !row[column].empty() && row[column] != kUndefined;
    });
    if (!says) continue;
    for (size_t row = 0; row < rows.size(); ++row) kept[row].push_back(rows[row][column]);
  }
  return kept;
}

// A row for each cell on files that have been replaced since.
void AddFormerRows(const SweepPlan& plan, const FormerTrials& former, std::vector<Row>* rows) {
  for (const PlannedCell& cell : plan.cells) {
    const auto found = former.find(SettingsJson(cell.settings));
    if (found == former.end()) continue;
    for (const auto& [key, trials] : found->second) {
      const Trials* solo = nullptr;
      if (cell.solo.has_value()) {
        const auto ceiling = former.find(SettingsJson(plan.cells[*cell.solo].settings));
        if (ceiling != former.end() && ceiling->second.count(key) > 0)
          solo = &ceiling->second.at(key);
      }
      rows->push_back(CellRow(
          absl::StrCat(SettingsText(cell.settings), " (other data: ", key.substr(0, 8), ")"),
          trials, solo, plan.seeds.size()));
    }
  }
}

// What of one cell is doubtful. Nothing disturbs simulated time: its trials differ by their seeds.
void AddDoubts(const PlannedCell& cell, const Trials& trials, std::vector<std::string>* notes) {
  if (!cell.compute.empty()) return;
  const std::string name = SettingsText(cell.settings);
  const std::vector<double> speeds = ValuesOf(Speed(), trials);
  for (const size_t outlier : Outliers(speeds)) {
    auto trial = trials.begin();
    std::advance(trial, outlier);
    notes->push_back(absl::StrFormat(
        "%s: trial %d is an outlier (%.0f samples/s, median %.0f); it counts all the same", name,
        trial->first, speeds[outlier], Median(speeds)));
  }
  for (const auto& [trial, record] : trials) {
    const std::vector<std::string> causes = DisturbanceCauses({&record->conditions()});
    if (!causes.empty())
      notes->push_back(absl::StrCat(name, ", trial ", trial, ": ", absl::StrJoin(causes, "; ")));
  }
}

// Said before all else that is doubtful.
void AddQuiet(const TrialsByCell& cells, std::vector<std::string>* notes) {
  size_t runs = 0, disturbed = 0;
  for (const auto& [id, trials] : cells) {
    for (const auto& [trial, record] : trials) {
      ++runs;
      if (!DisturbanceCauses({&record->conditions()}).empty()) ++disturbed;
    }
  }
  if (disturbed > 0)
    notes->push_back(
        absl::StrCat("the machine was not quiet during ", disturbed, " of ", runs, " runs"));
}

// Trials that have not ended well, by what their last run came to.
void AddFailures(const SweepPlan& plan, const TrialsByCell& cells,
                 const std::vector<RunRecord>& records, std::vector<std::string>* notes) {
  std::set<std::string> planned;
  for (const PlannedCell& cell : plan.cells) planned.insert(cell.id);
  std::map<std::pair<std::string, int32_t>, bool> stopped;
  for (const RunRecord& record : records) {
    const SweepMembership& sweep = record.sweep();
    const auto done = cells.find(sweep.cell());
    const bool is_done = done != cells.end() && done->second.count(sweep.trial()) > 0;
    if (!is_done && planned.count(sweep.cell()) > 0)
      stopped[{sweep.cell(), sweep.trial()}] = record.stopped();
  }
  if (stopped.empty()) return;
  const auto count =
      std::count_if(stopped.begin(), stopped.end(), [](const auto& trial) { return trial.second; });
  notes->push_back(absl::StrCat(
      stopped.size() - count, " trials failed and ", count,
      " were stopped, by a signal, for want of memory or with a host: they have no figures"));
}

template <typename Field>
void AddDifference(const TrialsByCell& cells, const char* what, Field field,
                   std::vector<std::string>* notes) {
  std::set<std::string> values;
  for (const auto& [id, trials] : cells) {
    for (const auto& [trial, record] : trials) values.insert(field(*record));
  }
  if (values.size() > 1)
    notes->push_back(
        absl::StrCat("runs of ", values.size(), " ", what, ": ", absl::StrJoin(values, ", ")));
}

// Whether every trial is the same: time alone is played, and nobody's is drawn.
bool IsWithoutChance(const PlannedCell& cell, const Trials& trials) {
  const auto& slowdowns = cell.spec.training().slowdowns();
  return !trials.empty() && trials.begin()->second->has_simulation() &&
         !trials.begin()->second->simulation().learns() &&
         ParseStepCompute(cell.compute)->sigma == 0 &&
         std::none_of(slowdowns.begin(), slowdowns.end(),
                      [](const SlowdownSpec& slowdown) { return slowdown.has_random(); });
}

}  // namespace

std::string PlanText(const SweepPlan& plan, const std::vector<SweepRun>& runs) {
  std::vector<Row> rows = {{"cell", "done", "failed", "stopped"}};
  for (const PlannedCell& cell : plan.cells) {
    // The last word on a trial counts.
    std::set<int32_t> done, failed, stopped;
    for (const SweepRun& run : runs) {
      if (run.cell != cell.id) continue;
      failed.erase(run.trial);
      stopped.erase(run.trial);
      (run.status == "ok" ? done : run.stopped ? stopped : failed).insert(run.trial);
    }
    for (const int32_t trial : done) {
      failed.erase(trial);
      stopped.erase(trial);
    }
    rows.push_back(
        {absl::StrCat(SettingsText(cell.settings), cell.added ? "  (added: the ceiling)" : ""),
         absl::StrCat(done.size(), "/", plan.seeds.size()),
         failed.empty() ? "" : absl::StrCat(failed.size()),
         stopped.empty() ? "" : absl::StrCat(stopped.size())});
  }
  std::string text = AlignedRows(rows);
  for (const ExcludedCell& cell : plan.excluded) {
    absl::StrAppend(&text, "not run: ", SettingsText(cell.settings), ": ", cell.reason, "\n");
  }
  for (const SameCell& cell : plan.same) {
    absl::StrAppend(&text, "the same run: ", SettingsText(cell.settings), " as ",
                    SettingsText(plan.cells[cell.as].settings), "\n");
  }
  return text;
}

std::string ResultsText(const SweepPlan& plan, const std::vector<RunRecord>& records) {
  const TrialsByCell cells = GroupTrials(records);
  const auto trials_of = [&](size_t index) -> const Trials* {
    const auto found = cells.find(plan.cells[index].id);
    return found == cells.end() ? nullptr : &found->second;
  };
  std::vector<Row> rows = {{"cell", "trials", "tuned"}};
  for (const Figure& figure : Figures()) {
    if (figure.sweep.has_value()) rows.front().push_back(figure.sweep->format.title);
  }
  std::vector<std::string> notes;
  AddFailures(plan, cells, records, &notes);
  AddQuiet(cells, &notes);
  bool few = false;
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    static const Trials kNone;
    const Trials& trials = trials_of(i) == nullptr ? kNone : *trials_of(i);
    const PlannedCell& cell = plan.cells[i];
    rows.push_back(CellRow(SettingsText(cell.settings), trials,
                           cell.solo.has_value() ? trials_of(*cell.solo) : nullptr,
                           plan.seeds.size()));
    AddDoubts(cell, trials, &notes);
    few |= trials.size() < kFewTrials && !IsWithoutChance(cell, trials);
  }
  const FormerTrials former = TrialsOnOtherFiles(plan, records);
  AddFormerRows(plan, former, &rows);
  if (!former.empty()) {
    notes.push_back(
        "files were replaced between trials: cells of other data are of what was there before, and "
        "no trial of theirs counts for the others");
  }
  AddDifference(
      cells, "builds", [](const RunRecord& record) { return record.build().commit(); }, &notes);
  std::vector<const Machine*> machines;
  for (const auto& [id, trials] : cells) {
    for (const auto& [trial, record] : trials) machines.push_back(&record->machine());
  }
  if (const int count = CountMachines(machines); count > 1)
    notes.push_back(absl::StrCat("runs of ", count, " machines"));
  if (few) {
    notes.push_back(absl::StrCat("fewer than ", kFewTrials,
                                 " trials of some cells: their intervals are too narrow"));
  }
  std::string text = absl::StrCat(
      AlignedRows(WithoutEmptyColumns(rows)),
      "medians over trials, [95 % interval]; efficiency against solo, trial by trial\n",
      EqualBytesText(plan, records));
  for (const std::string& note : notes) absl::StrAppend(&text, "note: ", note, "\n");
  return text;
}

}  // namespace ringmaster
