#include "experiments/study/report/tables.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/scheme/registry.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/fault_text.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/results/figures.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

TableColumn TextColumn(const char* id, const char* title) {
  return {id, title, "", 0, false, false};
}
TableColumn CountColumn(const char* id, const char* title, const char* unit = "") {
  return {id, title, unit, 0, true, false};
}

TableCell Text(std::string text) { return {std::move(text), std::nullopt}; }
TableCell Count(double count) { return {"", MedianInterval{count, count, count}}; }

TableColumn InGroup(const char* group, TableColumn column) {
  column.group = group;
  return column;
}

const char* GroupOf(const Figure& figure) {
  if (!figure.table.has_value()) return "more";
  switch (figure.table->group) {
    case FigureGroup::kSpeed:
      return "speed";
    case FigureGroup::kTime:
    case FigureGroup::kCommunication:
      return "time of a step";
    case FigureGroup::kBytes:
      return "bytes and staleness";
    case FigureGroup::kLearning:
      return "learning";
    case FigureGroup::kMachine:
      return "processes";
  }
  return "more";
}

TableColumn ColumnOf(const Figure& figure) {
  const FigureFormat& format = figure.report->format;
  return InGroup(GroupOf(figure),
                 {figure.report->id, format.title, format.unit, format.decimals, true, false, ""});
}

// A column that no row has tells nothing.
void EraseEmptyColumns(ReportTable* table) {
  for (size_t i = table->columns.size(); i-- > 0;) {
    const auto is_empty = [i](const TableRow& row) {
      return row.cells[i].text.empty() && !row.cells[i].figure.has_value();
    };
    if (!std::all_of(table->rows.begin(), table->rows.end(), is_empty)) continue;
    table->columns.erase(table->columns.begin() + static_cast<int64_t>(i));
    for (TableRow& row : table->rows) row.cells.erase(row.cells.begin() + static_cast<int64_t>(i));
  }
}

ReportTable FiguresTable(const Comparison& comparison) {
  ReportTable table;
  table.id = "figures";
  table.section = "Figures";
  table.title = comparison.label;
  table.caption =
      "Medians over trials, with 95 % intervals by the bootstrap where there are several trials. "
      "Speed-up and efficiency are taken trial by trial. A dash: not defined, not metered or not "
      "reached.";
  table.columns = {TextColumn("arm", "arm")};
  for (const Figure* figure : ReportFigures()) table.columns.push_back(ColumnOf(*figure));
  for (const TableColumn& column :
       {CountColumn("workers", "N", "workers"), CountColumn("servers", "K", "servers"),
        CountColumn("processes", "processes"), TextColumn("codec", "codec"),
        TextColumn("transport", "transport"), TextColumn("trials", "trials")}) {
    table.columns.push_back(InGroup("set-up", column));
  }
  // Columns that came later stand last: readers of CSV count on it.
  table.columns.push_back(TextColumn("tuned", "tuned"));
  for (const ReportCell& cell : comparison.cells) {
    TableRow row;
    row.arm = cell.arm;
    row.comparison = comparison.number;
    const std::string transport = cell.trials.empty() ? cell.spec.transport().name()
                                                      : cell.trials.front().summary.transport();
    const std::string failed =
        cell.failed.empty() ? "" : absl::StrCat(", ", FailedCounts(cell.failed));
    row.cells = {Text(cell.arm)};
    for (const Figure* figure : ReportFigures()) row.cells.push_back({"", FigureOf(cell, *figure)});
    for (TableCell& set_up : std::vector<TableCell>{
             Count(cell.spec.training().workers()), Count(TraitsOf(cell.spec).servers),
             Count(TraitsOf(cell.spec).processes), Text(cell.spec.codec().name()), Text(transport),
             Text(absl::StrCat(cell.trials.size(), failed))}) {
      row.cells.push_back(std::move(set_up));
    }
    row.cells.push_back(Text(TunedText(cell)));
    table.rows.push_back(std::move(row));
  }
  return table;
}

ReportTable NodesTable(const Comparison& comparison) {
  ReportTable table;
  table.id = "nodes";
  table.section = "Figures by worker and server";
  table.title = comparison.label;
  table.caption =
      "Medians over trials, with 95 % intervals by the bootstrap where there are several trials. "
      "Computing time and memory are the process's: where several nodes live in one, each has all "
      "of it, and the process says so.";
  table.columns = {TextColumn("arm", "arm"), TextColumn("node", "node")};
  for (const Figure* figure : ReportNodeFigures()) table.columns.push_back(ColumnOf(*figure));
  table.columns.push_back(InGroup("processes", TextColumn("process", "process")));
  for (const ReportCell& cell : comparison.cells) {
    if (cell.trials.empty()) continue;
    for (const NodeFigures& node : cell.trials.front().summary.nodes()) {
      TableRow row;
      row.arm = cell.arm;
      row.comparison = comparison.number;
      const std::string process = absl::StrCat(node.process(), node.shared() ? ", shared" : "");
      row.cells = {Text(cell.arm), Text(node.node())};
      for (const Figure* figure : ReportNodeFigures()) {
        row.cells.push_back({"", FigureOfNode(cell, *figure, node.node())});
      }
      row.cells.push_back(Text(process));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ReportTable PairsTable(const Comparison& comparison) {
  ReportTable table;
  table.id = "pairs";
  table.section = "Arms in pairs";
  table.title = comparison.label;
  table.caption =
      "Ratio of samples/s, trial by trial. Not distinguishable: the 95 % interval spans 1. Below "
      "six pairs it is too narrow for a verdict.";
  table.columns = {TextColumn("arm", "arm"),
                   TextColumn("against", "against"),
                   CountColumn("pairs", "pairs of trials"),
                   {"ratio", "ratio", "of samples/s", 3, true, false},
                   TextColumn("verdict", "verdict")};
  for (const PairedFigure& pair : PairedFigures(comparison)) {
    TableRow row;
    row.arm = pair.arm->arm;
    row.base = pair.base->arm;
    row.comparison = comparison.number;
    row.cells = {Text(pair.arm->arm),
                 Text(pair.base->arm),
                 Count(static_cast<double>(pair.pairs)),
                 {"", pair.ratio},
                 Text(pair.verdict())};
    table.rows.push_back(std::move(row));
  }
  return table;
}

ReportTable RunsTable(const Comparisons& comparisons) {
  ReportTable table;
  table.id = "runs";
  table.section = "What was run, on what";
  table.columns = {TextColumn("run", "run"),
                   TextColumn("arm", "arm"),
                   InGroup("run", TextColumn("settings", "comparison")),
                   InGroup("run", TextColumn("trial", "trial")),
                   InGroup("run", CountColumn("seed", "seed")),
                   InGroup("run", CountColumn("turns", "turns")),
                   InGroup("run", {"seconds", "run", "s", 1, true}),
                   InGroup("run", {"samples_per_second", "samples/s", "", 0, true}),
                   InGroup("run", {"load", "load before", "threads", 2, true}),
                   InGroup("run", {"foreign", "foreign load", "% of cores", 1, true}),
                   InGroup("run", {"throttles", "throttles", "", 0, true}),
                   InGroup("machine", TextColumn("build", "build")),
                   InGroup("machine", TextColumn("cpu", "processor")),
                   InGroup("machine", CountColumn("cores", "cores")),
                   InGroup("machine", TextColumn("gpu", "GPU")),
                   InGroup("machine", TextColumn("kernel_target", "kernels")),
                   InGroup("machine", TextColumn("system", "system"))};
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials) {
        const RunRecord& record = *trial.record;
        TableRow row;
        row.arm = cell.arm;
        row.comparison = comparison.number;
        const Conditions& conditions = record.conditions();
        std::optional<MedianInterval> speed;
        if (trial.summary.has_samples_per_second())
          speed = Count(trial.summary.samples_per_second()).figure;
        row.cells = {Text(record.run_id()),
                     Text(cell.arm),
                     Text(comparison.label),
                     Text(trial.key),
                     Count(static_cast<double>(record.spec().training().seed())),
                     Count(record.turns_size()),
                     Count(conditions.seconds()),
                     {"", speed},
                     Count(conditions.load_before()),
                     Count(100 * conditions.foreign_share()),
                     Count(static_cast<double>(conditions.throttles())),
                     Text(record.build().commit().substr(0, 19)),
                     Text(record.machine().cpu()),
                     Count(record.machine().cores()),
                     Text(record.machine().gpu().empty() ? "none" : record.machine().gpu()),
                     Text(record.machine().kernel_target()),
                     Text(record.machine().kernel())};
        table.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

// The cells of a run behind those that say which it is: of a loss, or of a run that has none.
std::vector<TableCell> LossCells(const RunRecord& record, const Loss* loss) {
  std::vector<TableCell> cells = {Text(FaultsText(record))};
  if (loss == nullptr) {
    cells.resize(10);
    cells[1] = Text(record.status() == "ok" ? "went on, nobody was lost" : "the run ended");
    return cells;
  }
  cells.push_back(Text(absl::StrCat(absl::StrJoin(loss->nodes(), "+"), ": ", loss->how(),
                                    loss->restarted() ? "; all were started again" : "")));
  cells.push_back(Count(static_cast<double>(loss->step())));
  cells.push_back(loss->has_detection_seconds() ? Count(1000 * loss->detection_seconds())
                                                : TableCell());
  cells.push_back(Count(1000 * loss->recovery_seconds()));
  for (const int64_t count : {loss->undone_steps(), loss->lost_updates(), loss->redealt_lots()})
    cells.push_back(Count(static_cast<double>(count)));
  cells.push_back(loss->has_loss_before() ? Count(loss->loss_before()) : TableCell());
  cells.push_back(loss->has_loss_after() ? Count(loss->loss_after()) : TableCell());
  return cells;
}

ReportTable LossesTable(const Comparisons& comparisons) {
  ReportTable table;
  table.id = "losses";
  table.section = "Faults and losses";
  table.caption =
      "What was done to processes of runs, who was lost by it, and what that cost: from the fault "
      "until it was noticed, from then until all were in a step again, and the training loss of "
      "the steps on both sides.";
  table.columns = {TextColumn("run", "run"),
                   TextColumn("arm", "arm"),
                   TextColumn("settings", "comparison"),
                   {"faults", "faults", "", 0, false, true},
                   {"lost", "lost", "", 0, false, true},
                   CountColumn("step", "step"),
                   CountColumn("detection_ms", "noticed after", "ms"),
                   CountColumn("recovery_ms", "went on after", "ms"),
                   CountColumn("undone_steps", "undone steps"),
                   CountColumn("lost_updates", "lost updates"),
                   CountColumn("redealt_lots", "lots dealt again"),
                   {"loss_before", "loss before", "", 4, true, false},
                   {"loss_after", "loss after", "", 4, true, false}};
  const auto add = [&](const Comparison& comparison, const ReportCell& cell,
                       const RunRecord& record) {
    std::vector<const Loss*> losses;
    for (const Loss& loss : record.losses()) losses.push_back(&loss);
    if (losses.empty() && record.faults_size() > 0) losses.push_back(nullptr);
    for (const Loss* loss : losses) {
      TableRow row;
      row.arm = cell.arm;
      row.comparison = comparison.number;
      row.cells = {Text(record.run_id()), Text(cell.arm), Text(comparison.label)};
      for (TableCell& each : LossCells(record, loss)) row.cells.push_back(std::move(each));
      table.rows.push_back(std::move(row));
    }
  };
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials) add(comparison, cell, *trial.record);
      for (const RunRecord* record : cell.failed) add(comparison, cell, *record);
    }
  }
  return table;
}

ReportTable FailedTable(const Comparisons& comparisons) {
  ReportTable table;
  table.id = "failed";
  table.section = "Failed runs";
  table.caption = "They have a status and no figures.";
  table.columns = {TextColumn("run", "run"),
                   TextColumn("arm", "arm"),
                   TextColumn("settings", "comparison"),
                   {"status", "status", "", 0, false, true},
                   TextColumn("end", "end")};
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const RunRecord* record : cell.failed) {
        TableRow row;
        row.arm = cell.arm;
        row.comparison = comparison.number;
        row.cells = {Text(record->run_id()), Text(cell.arm), Text(comparison.label),
                     Text(record->status()), Text(record->stopped() ? "stopped" : "failed")};
        table.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

}  // namespace

std::vector<ReportTable> MakeTables(const Comparisons& comparisons, ColumnChoice choice) {
  std::vector<ReportTable> tables;
  for (const Comparison& comparison : comparisons.all) tables.push_back(FiguresTable(comparison));
  for (const Comparison& comparison : comparisons.all) tables.push_back(PairsTable(comparison));
  for (const Comparison& comparison : comparisons.all) tables.push_back(NodesTable(comparison));
  if (choice == ColumnChoice::kFilled) {
    for (ReportTable& table : tables) EraseEmptyColumns(&table);
  }
  tables.push_back(LossesTable(comparisons));
  tables.push_back(FailedTable(comparisons));
  tables.push_back(RunsTable(comparisons));
  tables.erase(std::remove_if(tables.begin(), tables.end(),
                              [](const ReportTable& table) { return table.rows.empty(); }),
               tables.end());
  return tables;
}

std::vector<std::string> ColumnGroups(const ReportTable& table) {
  std::vector<std::string> groups;
  for (const TableColumn& column : table.columns) {
    const bool known = std::find(groups.begin(), groups.end(), column.group) != groups.end();
    if (!column.group.empty() && !known) groups.push_back(column.group);
  }
  return groups.empty() ? std::vector<std::string>{""} : groups;
}

std::string NumberText(const TableColumn& column, double value) {
  return absl::StrFormat("%.*f", column.decimals, value);
}

std::string CellText(const TableColumn& column, const TableCell& cell) {
  if (!cell.figure.has_value()) return cell.text.empty() ? "–" : cell.text;
  const auto number = [&](double value) { return NumberText(column, value); };
  const MedianInterval& figure = *cell.figure;
  if (figure.low == figure.median && figure.high == figure.median) return number(figure.median);
  return absl::StrCat(number(figure.median), " [", number(figure.low), ", ", number(figure.high),
                      "]");
}

}  // namespace ringmaster
