#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLE_TEXT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLE_TEXT_H_

#include <string>
#include <vector>

#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/tables.h"

namespace ringmaster {

// A report's tables and what they do not show as text, UTF-8, ending with a newline. Pure.

std::string MarkdownText(const Comparisons& comparisons, const std::vector<ReportTable>& tables);

// Tables for LaTeX's booktabs package, one table environment each; the runs, of interest on a page,
// are left out, and a table too wide for paper follows in parts that repeat its first column.
std::string LatexText(const Comparisons& comparisons, const std::vector<ReportTable>& tables);

// The table of every cell's figures as one CSV (RFC 4180) with a header: comparison, arm, ..., then
// each figure as NAME, NAME_low and NAME_high; undefined ones are empty. The figures are not
// rounded.
std::string CsvText(const Comparisons& comparisons);

// Every table as {"id", "title", "rows": [{column: value or {"median", "low", "high"}}]}, and the
// limits; one JSON object.
std::string JsonText(const Comparisons& comparisons, const std::vector<ReportTable>& tables);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLE_TEXT_H_
