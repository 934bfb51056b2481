#include "experiments/study/results/table.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/base/known_words.h"
#include "experiments/study/results/columns.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/summary.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

constexpr int kMinWidth = 80;
constexpr int kColumnGap = 2;
constexpr int kGroupGap = 3;
constexpr char kUndefined[] = "–";

struct Column {
  const Figure* figure = nullptr;  // null: a text, whose cells are there before Layout
  std::string title;
  std::string unit;
  // Filled by Layout.
  std::vector<std::string> cells;
  int width = 0;
};

struct Group {
  std::string title;
  std::vector<Column> columns;
  int width = 0;  // of the columns and the gaps between them
};

std::string Line(int width) {
  std::string line;
  for (int i = 0; i < width; ++i) absl::StrAppend(&line, "─");
  return line;
}

const char* TitleOf(FigureGroup group) {
  switch (group) {
    case FigureGroup::kSpeed:
      return "speed";
    case FigureGroup::kTime:
      return "where a step's time goes, ms";
    case FigureGroup::kCommunication:
      return "communication";
    case FigureGroup::kBytes:
      return "bytes and staleness";
    case FigureGroup::kLearning:
      return "learning";
    case FigureGroup::kMachine:
      return "what the processes take";
  }
  return "";
}

// The groups that have columns: those of `tags`, or where it is empty those that stand in every
// table.
std::vector<Group> MakeGroups(const std::vector<std::string>& tags) {
  std::map<FigureGroup, std::map<int, Column>> chosen;  // by place
  for (const Figure& figure : Figures()) {
    if (!figure.table.has_value()) continue;
    const bool shows = tags.empty() ? figure.table->by_default
                                    : std::find(tags.begin(), tags.end(), figure.tag) != tags.end();
    if (shows) chosen[figure.table->group][figure.table->place].figure = &figure;
  }
  std::vector<Group> groups;
  for (auto& [which, columns] : chosen) {
    Group& group = groups.emplace_back();
    group.title = TitleOf(which);
    for (auto& [place, column] : columns) {
      column.title = column.figure->table->format.title;
      column.unit = column.figure->table->format.unit;
      group.columns.push_back(std::move(column));
    }
  }
  return groups;
}

// A column for every field that is tuned; no columns where none is.
Group TunedGroup(const std::vector<RunSummary>& summaries) {
  Group group;
  group.title = "tuned";
  std::map<std::string, Column> columns;  // by field
  for (size_t i = 0; i < summaries.size(); ++i) {
    for (const TunedValue& tuned : summaries[i].tuned()) {
      Column& column = columns[tuned.field()];
      column.title = tuned.field().substr(tuned.field().rfind('.') + 1);
      column.cells.resize(summaries.size(), kUndefined);
      column.cells[i] = absl::StrCat(tuned.value(), tuned.at_edge() ? " |" : "");
    }
  }
  for (auto& [field, column] : columns) group.columns.push_back(std::move(column));
  return group;
}

// The transport of most arms; what differs from it is another wire.
std::string UsualTransport(const std::vector<RunSummary>& summaries) {
  std::map<std::string, int> counts;
  for (const RunSummary& summary : summaries) ++counts[summary.transport()];
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

struct Rows {
  std::vector<std::string> arms;
  std::vector<std::string> notes;
  int width = 3;  // of the arm column; "arm" at least
};

// What to say of figures that cannot be what their name says, a line each.
void AddDoubts(const std::vector<RunSummary>& summaries, const std::vector<Group>& groups,
               Rows* rows) {
  for (const Group& group : groups) {
    for (const Column& column : group.columns) {
      if (column.figure == nullptr) continue;
      const Figure& figure = *column.figure;
      const auto is_doubtful = [&](const RunSummary& summary) {
        const std::optional<double> value = figure.value(summary);
        return figure.is_doubtful != nullptr && value.has_value() && figure.is_doubtful(*value);
      };
      // Several figures may have one and the same.
      if (std::any_of(summaries.begin(), summaries.end(), is_doubtful) &&
          std::find(rows->notes.begin(), rows->notes.end(), figure.doubt) == rows->notes.end())
        rows->notes.push_back(figure.doubt);
    }
  }
}

void AddUnlikeRanks(const std::vector<RunSummary>& summaries, Rows* rows) {
  for (const RunSummary& summary : summaries) {
    if (!summary.ranks_differ()) continue;
    rows->notes.push_back(absl::StrFormat(
        "~ %s: ranks differ, median steps of %.2f to %.2f ms by rank: step p50 and p95 are the "
        "middle rank's, and there is no contention",
        summary.arm(), summary.fastest_rank_step_ms(), summary.slowest_rank_step_ms()));
  }
}

// What the rates and efficiencies of arms that claim their work are of.
void AddClaims(const std::vector<RunSummary>& summaries, Rows* rows) {
  std::vector<std::string> arms, tails;
  for (const RunSummary& summary : summaries) {
    if (!summary.has_tail_seconds()) continue;
    arms.push_back(summary.arm());
    tails.push_back(absl::StrFormat("%.2f", summary.tail_seconds()));
  }
  if (arms.empty()) return;
  rows->notes.push_back(absl::StrCat(
      absl::StrJoin(arms, ", "),
      ": workers claim their work: samples/s is the sum of their own rates, without the tail from "
      "the first to the last without work (",
      absl::StrJoin(tails, ", "), " s)"));
  const RunSummary* const solo = FindSolo(summaries);
  if (solo == nullptr) return;
  rows->notes.push_back(absl::StrFormat(
      "efficiency: theirs is of the sum of solo's own rates (%.0f samples/s), all others' of N "
      "times solo's slowest worker (%.0f)",
      solo->own_samples_per_second(), solo->samples_per_second()));
}

void AddTuned(const std::vector<RunSummary>& summaries, Rows* rows) {
  bool is_tuned = false, at_edge = false;
  for (const RunSummary& summary : summaries) {
    for (const TunedValue& tuned : summary.tuned()) {
      is_tuned = true;
      at_edge |= tuned.at_edge();
    }
  }
  if (is_tuned)
    rows->notes.push_back("tuned: each arm's best value of the same grid, by final training loss");
  if (at_edge)
    rows->notes.push_back(
        "| at the edge of its grid: a better value may lie beyond; widen the grid");
}

Rows MakeRows(const std::vector<RunSummary>& summaries, const std::vector<Group>& groups) {
  Rows rows;
  const std::string usual = UsualTransport(summaries);
  std::vector<std::string> failures;
  for (const RunSummary& summary : summaries) {
    std::string arm = summary.arm();
    if (summary.status() != "ok") {
      absl::StrAppend(&arm, " ✗");
      failures.push_back(
          absl::StrCat("✗ ", summary.arm(), " failed, so it has no figures: ", summary.status()));
    } else if (summary.transport() != usual) {
      absl::StrAppend(&arm, " *");
      rows.notes.push_back(absl::StrCat("* ", summary.arm(), ": other wire (", summary.transport(),
                                        ", not ", usual, ")"));
    }
    if (summary.ranks_differ()) absl::StrAppend(&arm, " ~");
    rows.width = std::max(rows.width, DisplayWidth(arm));
    rows.arms.push_back(std::move(arm));
  }
  AddTuned(summaries, &rows);
  AddUnlikeRanks(summaries, &rows);
  AddClaims(summaries, &rows);
  AddDoubts(summaries, groups, &rows);
  rows.notes.insert(rows.notes.end(), failures.begin(), failures.end());
  return rows;
}

void Layout(const std::vector<RunSummary>& summaries, Group* group) {
  group->width = -kColumnGap;
  for (Column& column : group->columns) {
    column.width = std::max(DisplayWidth(column.title), DisplayWidth(column.unit));
    if (column.figure != nullptr) {
      const FigureFormat& format = column.figure->table->format;
      for (const RunSummary& summary : summaries) {
        const std::optional<double> value = column.figure->value(summary);
        column.cells.push_back(
            value.has_value() ? absl::StrFormat("%.*f", format.decimals, *value * format.factor)
                              : kUndefined);
      }
    }
    for (const std::string& cell : column.cells)
      column.width = std::max(column.width, DisplayWidth(cell));
    group->width += column.width + kColumnGap;
  }
  const int missing = DisplayWidth(group->title) - group->width;
  if (missing > 0) {
    group->columns.front().width += missing;
    group->width += missing;
  }
}

using Block = std::vector<const Group*>;

int WidthOf(const Block& block, int arm_width) {
  int width = arm_width;
  for (const Group* group : block) width += kGroupGap + group->width;
  return width;
}

// Cuts the groups, in their order, into the fewest blocks that fit into `width`; of those cuts, the
// one whose widest block is the narrowest. A group that fits nowhere stands alone.
std::vector<Block> Pack(const std::vector<Group>& groups, int arm_width, int width) {
  std::vector<Block> best;
  int best_widest = 0;
  // Bit i set: a new block begins before group i + 1.
  for (unsigned cuts = 0; cuts < 1u << (groups.size() - 1); ++cuts) {
    std::vector<Block> blocks(1);
    for (size_t i = 0; i < groups.size(); ++i) {
      if (i > 0 && (cuts >> (i - 1) & 1) != 0) blocks.emplace_back();
      blocks.back().push_back(&groups[i]);
    }
    int widest = 0;
    bool fits = true;
    for (const Block& block : blocks) {
      widest = std::max(widest, WidthOf(block, arm_width));
      fits &= block.size() == 1 || WidthOf(block, arm_width) <= width;
    }
    const auto rank = std::make_pair(blocks.size(), widest);
    if (fits && (best.empty() || rank < std::make_pair(best.size(), best_widest))) {
      best = std::move(blocks);
      best_widest = widest;
    }
  }
  return best;
}

// One line of a block: `first` in the arm's column, then `cell(column)` in every other.
std::string TableLine(const Block& block, const std::string& first,
                      const std::function<std::string(const Column&)>& cell) {
  std::string line = first;
  for (const Group* group : block) {
    absl::StrAppend(&line, std::string(kGroupGap - kColumnGap, ' '));
    for (const Column& column : group->columns) {
      absl::StrAppend(&line, std::string(kColumnGap, ' '), PadLeft(cell(column), column.width));
    }
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string RenderBlock(const Block& block, const Rows& rows) {
  std::string titles(rows.width, ' ');
  std::string rule = Line(rows.width);
  for (const Group* group : block) {
    const int left = (group->width - DisplayWidth(group->title) - 2) / 2;
    const int right = group->width - DisplayWidth(group->title) - 2 - left;
    absl::StrAppend(&titles, std::string(kGroupGap, ' '),
                    left < 0 ? PadRight(group->title, group->width)
                             : absl::StrCat(Line(left), " ", group->title, " ", Line(right)));
    absl::StrAppend(&rule, std::string(kGroupGap, ' '), Line(group->width));
  }
  std::string text = titles + "\n";
  const auto title = [](const Column& column) { return column.title; };
  absl::StrAppend(&text, TableLine(block, PadRight("arm", rows.width), title));
  absl::StrAppend(
      &text, TableLine(block, PadRight("", rows.width), [](const Column& c) { return c.unit; }));
  absl::StrAppend(&text, rule, "\n");
  for (size_t i = 0; i < rows.arms.size(); ++i) {
    absl::StrAppend(&text, TableLine(block, PadRight(rows.arms[i], rows.width),
                                     [i](const Column& c) { return c.cells[i]; }));
  }
  return text;
}

}  // namespace

absl::Status CheckColumns(const std::vector<std::string>& tags) {
  std::vector<std::string> known;
  for (const Figure& figure : Figures()) {
    if (figure.table.has_value()) known.push_back(figure.tag);
  }
  for (const std::string& tag : tags) {
    if (std::find(known.begin(), known.end(), tag) != known.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("\"", tag, "\": no such figure; ", KnownWordsText(tag, known)));
  }
  return absl::OkStatus();
}

std::string RenderTable(const std::vector<RunSummary>& summaries, int terminal_width,
                        const std::vector<std::string>& tags) {
  std::vector<Group> groups = MakeGroups(tags);
  if (Group tuned = TunedGroup(summaries); !tuned.columns.empty())
    groups.insert(groups.begin(), std::move(tuned));
  for (Group& group : groups) Layout(summaries, &group);
  const Rows rows = MakeRows(summaries, groups);
  const std::vector<Block> blocks = Pack(groups, rows.width, std::max(terminal_width, kMinWidth));
  std::string text;
  for (const Block& block : blocks) absl::StrAppend(&text, RenderBlock(block, rows), "\n");
  absl::StrAppend(
      &text,
      "exposed = skew, waiting for the last rank, + transfer\n"
      "hidden and encode: on the exchange thread beside compute, no part of the step\n"
      "bytes: payload of a worker and step; – not defined, not metered or not reached\n");
  for (const std::string& note : rows.notes) absl::StrAppend(&text, note, "\n");
  return text;
}

}  // namespace ringmaster
