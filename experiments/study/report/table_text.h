#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLE_TEXT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_TABLE_TEXT_H_

#include <string>
#include <vector>

#include "experiments/study/report/tables.h"

namespace ringmaster {

struct Comparisons;

// A report's tables and what they do not show as text, UTF-8, ending with a newline. Pure.

std::string MarkdownText(const Comparisons& comparisons, const std::vector<ReportTable>& tables);

// Tables for LaTeX's booktabs package, for a text of 345 pt (article, 10 pt). Each group of columns
// is a table environment with a caption and a label of its own ("tab:figures-1-speed"), in as many
// parts as the width asks for, which repeat the first columns. Intervals stand below their figures.
// The runs are left out: they are of interest on a page. `latex_text.cc`.
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
