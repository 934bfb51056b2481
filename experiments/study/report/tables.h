#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLES_H_

#include <optional>
#include <string>
#include <vector>

#include "experiments/study/results/statistics.h"

namespace ringmaster {

struct Comparisons;

struct TableColumn {
  std::string id;  // of its cells in CSV and JSON
  std::string title;
  std::string unit;
  int decimals = 0;
  bool numeric = false;
  bool wide = false;  // holds sentences
  // Whoever has no room for all columns shows them by group: "speed", "time", ... Empty: says which
  // row it is, and stands beside every group.
  std::string group;
};

// Text, or a figure; neither: undefined.
struct TableCell {
  std::string text;
  std::optional<MedianInterval> figure;
};

struct TableRow {
  std::string arm;     // what the row is about; may be empty
  std::string base;    // the arm that it is compared with; may be empty
  int comparison = 0;  // its number; 0: none
  std::vector<TableCell> cells;
};

struct ReportTable {
  std::string id;       // "figures", "pairs", "nodes", "losses", "failed", "runs"
  std::string section;  // heading under which it stands
  std::string title;    // which comparison, where there are several
  std::string caption;
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
};

// kFilled: a column of which no row has anything is left out, for people. kAll: which columns there
// are depends on the program alone, not on what was measured, for programs.
enum class ColumnChoice { kFilled, kAll };

// The tables of a report: for each comparison the figures of its cells, its arms in pairs, and the
// figures of each worker and server; then faults and losses, failed runs, and every run with what
// it ran on. Runs that may not stand side by side never do. Pure.
std::vector<ReportTable> MakeTables(const Comparisons& comparisons,
                                    ColumnChoice choice = ColumnChoice::kFilled);

// The names of a table's groups of columns, in their order; one that is empty where it has none.
// Pure.
std::vector<std::string> ColumnGroups(const ReportTable& table);

// The number with the column's decimals. Pure.
std::string NumberText(const TableColumn& column, double value);

// "6332 [6100, 6400]" with the column's decimals; one trial has no interval, and what is undefined
// is "–". Pure.
std::string CellText(const TableColumn& column, const TableCell& cell);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLES_H_
