#include "experiments/study/report/table_text.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/formats/json.h"
#include "common/scheme/registry.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/results/schema_version.h"

namespace ringmaster {
namespace {

std::string MarkdownCell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}, {"<", "&lt;"}});
}

std::string Heading(const TableColumn& column) {
  return column.unit.empty() ? column.title : absl::StrCat(column.title, ", ", column.unit);
}

// The columns of one group, and those that say which row it is.
std::string MarkdownPart(const ReportTable& table, const std::string& group) {
  std::vector<size_t> columns;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].group.empty() || table.columns[i].group == group) columns.push_back(i);
  }
  const auto line = [&](const std::function<std::string(size_t)>& cell) {
    std::vector<std::string> cells;
    for (const size_t i : columns) cells.push_back(cell(i));
    return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
  };
  std::string text = group.empty() ? "\n" : absl::StrCat("\n", group, ":\n\n");
  absl::StrAppend(&text, line([&](size_t i) { return MarkdownCell(Heading(table.columns[i])); }),
                  line([&](size_t i) { return table.columns[i].numeric ? "---:" : ":---"; }));
  for (const TableRow& row : table.rows) {
    absl::StrAppend(&text, line([&](size_t i) {
      return MarkdownCell(CellText(table.columns[i], row.cells[i]));
    }));
  }
  return text;
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

Json CellJson(const TableCell& cell) {
  if (!cell.figure.has_value()) return cell.text.empty() ? Json(nullptr) : Json(cell.text);
  const MedianInterval& figure = *cell.figure;
  if (figure.low == figure.median && figure.high == figure.median) return figure.median;
  return {{"median", figure.median}, {"low", figure.low}, {"high", figure.high}};
}

}  // namespace

std::string MarkdownText(const Comparisons& comparisons, const std::vector<ReportTable>& tables) {
  std::string text = "# Ringmaster report\n";
  std::string section;
  for (const ReportTable& table : tables) {
    if (table.section != section) absl::StrAppend(&text, "\n## ", section = table.section, "\n");
    if (!table.title.empty()) absl::StrAppend(&text, "\n### ", MarkdownCell(table.title), "\n");
    for (const std::string& group : ColumnGroups(table))
      absl::StrAppend(&text, MarkdownPart(table, group));
    if (!table.caption.empty()) absl::StrAppend(&text, "\n", table.caption, "\n");
  }
  absl::StrAppend(&text, "\n## What these results do not show\n\n");
  for (const std::string& limit : Limits(comparisons)) absl::StrAppend(&text, "- ", limit, "\n");
  const std::vector<std::string> doubts = Doubts(comparisons);
  if (!doubts.empty()) absl::StrAppend(&text, "\n## Doubtful figures\n\n");
  for (const std::string& doubt : doubts) absl::StrAppend(&text, "- ", doubt, "\n");
  return text;
}

std::string CsvText(const Comparisons& comparisons) {
  std::vector<std::string> heads = {"comparison", "settings", "arm",    "workers", "servers",
                                    "processes",  "codec",    "trials", "failed"};
  for (const Figure* figure : ReportFigures()) {
    for (const char* suffix : {"", "_low", "_high"})
      heads.push_back(absl::StrCat(figure->report->id, suffix));
  }
  heads.push_back("stopped");
  std::string text = absl::StrCat(absl::StrJoin(heads, ","), "\r\n");
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      std::vector<std::string> cells = {absl::StrCat(comparison.number),
                                        CsvCell(comparison.label),
                                        CsvCell(cell.arm),
                                        absl::StrCat(cell.spec.training().workers()),
                                        absl::StrCat(TraitsOf(cell.spec).servers),
                                        absl::StrCat(TraitsOf(cell.spec).processes),
                                        CsvCell(cell.spec.codec().name()),
                                        absl::StrCat(cell.trials.size()),
                                        absl::StrCat(cell.failed.size())};
      for (const Figure* figure : ReportFigures()) {
        const auto value = FigureOf(cell, *figure);
        if (!value.has_value()) {
          cells.insert(cells.end(), 3, "");
          continue;
        }
        for (const double number : {value->median, value->low, value->high})
          cells.push_back(absl::StrFormat("%.9g", number));
      }
      cells.push_back(absl::StrCat(StoppedAmong(cell.failed)));
      absl::StrAppend(&text, absl::StrJoin(cells, ","), "\r\n");
    }
  }
  return text;
}

std::string JsonText(const Comparisons& comparisons, const std::vector<ReportTable>& tables) {
  Json json = {{"tables", Json::Array()},
               {"limits", Limits(comparisons)},
               {"doubts", Doubts(comparisons)},
               {kSchemaVersionKey, kSchemaVersion}};
  for (const ReportTable& table : tables) {
    Json rows = Json::Array();
    for (const TableRow& row : table.rows) {
      Json object = {{"comparison", row.comparison}};
      for (size_t i = 0; i < row.cells.size(); ++i)
        object[table.columns[i].id] = CellJson(row.cells[i]);
      rows.push_back(std::move(object));
    }
    json["tables"].push_back({{"id", table.id}, {"title", table.title}, {"rows", std::move(rows)}});
  }
  return json.Dump() + "\n";
}

}  // namespace ringmaster
