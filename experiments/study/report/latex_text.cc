// The tables of a report for LaTeX. Widths are estimated, in em of the tables' font: a table that
// would be wider than the text becomes several.

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/table_text.h"

namespace ringmaster {
namespace {

constexpr double kTextWidth = 36;   // 345 pt of a text in \small, less a reserve
constexpr double kColumnGap = 0.9;  // two \tabcolsep of 4 pt
constexpr double kScript = 0.82;    // \scriptsize beside \small
constexpr double kTextColumnMax = 11;
constexpr double kWideColumnMin = 10;
constexpr size_t kRowsMax = 20;      // with intervals 40 lines, on a page of 45
constexpr int kTablesAtOnce = 10;    // more than LaTeX keeps waiting for room it gives up on
constexpr size_t kUnbrokenMax = 12;  // characters of a word in a narrow column

// Bytes of the UTF-8 character at `at`.
size_t CharacterLength(const std::string& text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  const size_t length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  return std::min(length, text.size() - at);
}

// What plain LaTeX can set of a character: itself, a command, or a question mark.
std::string LatexCharacter(const std::string& character) {
  static constexpr struct {
    const char* character;
    const char* command;
  } kCommands[] = {{"\\", "\\textbackslash{}"},
                   {"{", "\\{"},
                   {"}", "\\}"},
                   {"%", "\\%"},
                   {"&", "\\&"},
                   {"#", "\\#"},
                   {"_", "\\_"},
                   {"$", "\\$"},
                   {"~", "\\textasciitilde{}"},
                   {"^", "\\textasciicircum{}"},
                   {"<", "\\textless{}"},
                   {">", "\\textgreater{}"},
                   {"|", "\\textbar{}"},
                   {"\"", "''"},
                   {"\n", " "},
                   {"×", "$\\times$"},
                   {"–", "--"},
                   {"…", "\\dots{}"},
                   {"µ", "$\\mu$"},
                   {"−", "$-$"}};
  for (const auto& known : kCommands) {
    if (character == known.character) return known.command;
  }
  if (character.size() == 1) return absl::ascii_isprint(character[0]) ? character : "?";
  // Latin letters with accents, which the kernel composes; nothing else is sure to be there.
  const int code = (static_cast<unsigned char>(character[0]) & 0x1f) << 6 |
                   (static_cast<unsigned char>(character[1]) & 0x3f);
  return character.size() == 2 && code >= 0xc0 && code < 0x180 ? character : "?";
}

// Text for LaTeX. `breakable`: a long word may be broken after what is no letter or digit, and
// where it goes on for too long.
std::string LatexTextOf(const std::string& text, bool breakable) {
  std::string latex;
  size_t unbroken = 0;
  for (size_t at = 0; at < text.size();) {
    const std::string character = text.substr(at, CharacterLength(text, at));
    at += character.size();
    // Two hyphens are no dash.
    absl::StrAppend(&latex, LatexCharacter(character),
                    character == "-" && at < text.size() && text[at] == '-' ? "{}" : "");
    const bool plain = character.size() > 1 || absl::ascii_isalnum(character[0]);
    unbroken = character == " " || !plain ? 0 : unbroken + 1;
    if (!breakable || character == " ") continue;
    if (!plain || unbroken >= kUnbrokenMax) {
      latex += "\\allowbreak{}";
      unbroken = 0;
    }
  }
  return latex;
}

// A number with a minus sign in place of a hyphen.
std::string LatexNumber(const std::string& number) {
  return absl::StrReplaceAll(number, {{"-", "$-$"}});
}

double WidthOf(const std::string& text) {
  double width = 0;
  for (size_t at = 0; at < text.size(); at += CharacterLength(text, at)) {
    const char c = text[at];
    width += absl::ascii_isdigit(c) || c == ' ' || c == '.' || c == ','               ? 0.52
             : absl::ascii_isupper(c) || c == 'm' || c == 'w' || c == '%' || c == '-' ? 0.85
                                                                                      : 0.56;
  }
  return width;
}

std::string IntervalText(const TableColumn& column, const TableCell& cell) {
  if (!cell.figure.has_value()) return "";
  const MedianInterval& figure = *cell.figure;
  if (figure.low == figure.median && figure.high == figure.median) return "";
  return absl::StrCat("[", NumberText(column, figure.low), ", ", NumberText(column, figure.high),
                      "]");
}

struct LatexColumn {
  size_t index = 0;
  double width = 0;
  bool wraps = false;
};

LatexColumn Measured(const ReportTable& table, size_t index) {
  const TableColumn& column = table.columns[index];
  LatexColumn measured{index, std::max(WidthOf(column.title), WidthOf(column.unit)), false};
  for (const TableRow& row : table.rows) {
    const TableCell& cell = row.cells[index];
    if (cell.figure.has_value()) {
      measured.width = std::max({measured.width, WidthOf(NumberText(column, cell.figure->median)),
                                 kScript * WidthOf(IntervalText(column, cell))});
    } else {
      measured.width = std::max(measured.width, WidthOf(cell.text));
    }
  }
  measured.wraps = column.wide || (!column.numeric && measured.width > kTextColumnMax);
  if (measured.wraps) measured.width = column.wide ? kWideColumnMin : kTextColumnMax;
  measured.width += kColumnGap;
  return measured;
}

// The columns of a group, cut into parts that fit; each begins with those of no group.
std::vector<std::vector<LatexColumn>> Parts(const ReportTable& table, const std::string& group) {
  std::vector<LatexColumn> keys, others;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const TableColumn& column = table.columns[i];
    // A table without groups has its first column for a key.
    const bool is_key = group.empty() ? i == 0 : column.group.empty();
    if (is_key) keys.push_back(Measured(table, i));
    if (!is_key && column.group == group) others.push_back(Measured(table, i));
  }
  double keys_width = 0;
  for (const LatexColumn& key : keys) keys_width += key.width;
  std::vector<std::vector<LatexColumn>> parts = {keys};
  double width = keys_width;
  for (const LatexColumn& column : others) {
    if (width + column.width > kTextWidth && parts.back().size() > keys.size()) {
      parts.push_back(keys);
      width = keys_width;
    }
    parts.back().push_back(column);
    width += column.width;
  }
  for (std::vector<LatexColumn>& part : parts) {
    // What is left of the line belongs to the sentences.
    double left = kTextWidth;
    for (const LatexColumn& column : part) left -= column.width;
    for (LatexColumn& column : part) {
      if (!table.columns[column.index].wide) continue;
      column.width += std::max(0.0, left);
      left = 0;
    }
  }
  return parts;
}

std::string CellLatex(const TableColumn& column, const LatexColumn& measured,
                      const TableCell& cell) {
  if (cell.figure.has_value()) return LatexNumber(NumberText(column, cell.figure->median));
  if (cell.text.empty()) return "{--}";
  return LatexTextOf(cell.text, measured.wraps);
}

std::string Line(const std::vector<LatexColumn>& part,
                 const std::function<std::string(const LatexColumn&)>& cell) {
  std::vector<std::string> cells;
  for (const LatexColumn& column : part)
    cells.push_back(column.wraps ? absl::StrCat("\\raggedright ", cell(column)) : cell(column));
  // A bracket or star after the end of a line would belong to it.
  return absl::StrCat("    {}", absl::StrJoin(cells, " & "), " \\tabularnewline\n");
}

std::string RowLatex(const ReportTable& table, const std::vector<LatexColumn>& part,
                     const TableRow& row) {
  bool has_interval = false;
  for (const LatexColumn& column : part) {
    has_interval |= !IntervalText(table.columns[column.index], row.cells[column.index]).empty();
  }
  std::string text = Line(part, [&](const LatexColumn& column) {
    return CellLatex(table.columns[column.index], column, row.cells[column.index]);
  });
  if (!has_interval) return text;
  return text + Line(part, [&](const LatexColumn& column) {
           const std::string interval =
               IntervalText(table.columns[column.index], row.cells[column.index]);
           return interval.empty() ? ""
                                   : absl::StrCat("{\\scriptsize ", LatexNumber(interval), "}");
         });
}

// One table environment: some columns of some rows.
struct LatexTable {
  std::vector<LatexColumn> columns;
  size_t rows_begin = 0, rows_end = 0;
};

// The tables that show a group of columns: each fits into the width and onto a page.
std::vector<LatexTable> TablesOf(const ReportTable& table, const std::string& group) {
  std::vector<LatexTable> tables;
  for (const std::vector<LatexColumn>& part : Parts(table, group)) {
    for (size_t begin = 0; begin < table.rows.size(); begin += kRowsMax)
      tables.push_back({part, begin, std::min(begin + kRowsMax, table.rows.size())});
  }
  return tables;
}

std::string TableLatex(const ReportTable& table, const LatexTable& shown,
                       const std::string& caption, const std::string& label) {
  const std::vector<LatexColumn>& part = shown.columns;
  std::string align;
  for (const LatexColumn& column : part) {
    absl::StrAppend(&align, column.wraps ? absl::StrFormat("p{%.1fem}", column.width - kColumnGap)
                            : table.columns[column.index].numeric ? "r"
                                                                  : "l");
  }
  std::string text = absl::StrCat(
      "\\begin{table}[htbp]\n  \\centering\n  \\setlength{\\abovecaptionskip}{0pt}\n"
      "  \\setlength{\\belowcaptionskip}{6pt}\n  \\caption{",
      LatexTextOf(caption, true), "}\n  \\label{", label,
      "}\n  \\small\n  \\setlength{\\tabcolsep}{4pt}\n  \\begin{tabular}{@{}", align,
      "@{}}\n    \\toprule\n");
  const auto title = [&](const LatexColumn& column) {
    return LatexTextOf(table.columns[column.index].title, false);
  };
  const auto unit = [&](const LatexColumn& column) {
    return LatexTextOf(table.columns[column.index].unit, false);
  };
  absl::StrAppend(&text, Line(part, title));
  const bool has_unit = std::any_of(part.begin(), part.end(), [&](const LatexColumn& column) {
    return !table.columns[column.index].unit.empty();
  });
  absl::StrAppend(&text, has_unit ? Line(part, unit) : "", "    \\midrule\n");
  for (size_t i = shown.rows_begin; i < shown.rows_end; ++i)
    absl::StrAppend(&text, RowLatex(table, part, table.rows[i]));
  absl::StrAppend(&text, "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n\n");
  return text;
}

// Of letters, digits and hyphens.
std::string LabelOf(const std::string& words) {
  std::string label;
  for (const char c : words) label += absl::ascii_isalnum(c) ? absl::ascii_tolower(c) : '-';
  return label;
}

}  // namespace

std::string LatexText(const Comparisons& comparisons, const std::vector<ReportTable>& tables) {
  std::string text = "% Written by ringmaster report. Needs \\usepackage{booktabs} and UTF-8.\n\n";
  std::string explained;  // the id of the tables whose caption has been said in full
  int number = 0;         // of the table among those of its id
  int written = 0;
  for (const ReportTable& table : tables) {
    if (table.id == "runs") continue;
    number = explained == table.id ? number + 1 : 1;
    for (const std::string& group : ColumnGroups(table)) {
      const std::vector<LatexTable> parts = TablesOf(table, group);
      for (size_t i = 0; i < parts.size(); ++i) {
        const std::string caption = absl::StrCat(
            table.section, group.empty() ? "" : ": ", group,
            table.title.empty() ? "" : absl::StrCat(", ", table.title),
            parts.size() > 1 ? absl::StrCat(" (", i + 1, " of ", parts.size(), ")") : "", ".",
            explained == table.id || table.caption.empty() ? "" : absl::StrCat(" ", table.caption));
        explained = table.id;
        std::string label = absl::StrCat("tab:", LabelOf(table.id), "-", number);
        if (!group.empty()) absl::StrAppend(&label, "-", LabelOf(group));
        if (i > 0) absl::StrAppend(&label, "-", i + 1);
        absl::StrAppend(&text, TableLatex(table, parts[i], caption, label));
        if (++written % kTablesAtOnce == 0) absl::StrAppend(&text, "\\clearpage\n\n");
      }
    }
  }
  absl::StrAppend(&text, "\\paragraph{What these results do not show}\n\\begin{itemize}\\sloppy\n");
  for (const std::string& limit : Limits(comparisons))
    absl::StrAppend(&text, "  \\item ", LatexTextOf(limit, true), "\n");
  absl::StrAppend(&text, "\\end{itemize}\n");
  return text;
}

}  // namespace ringmaster
