#include "experiments/study/results/table.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/trace/trace.h"
#include "experiments/study/results/columns.h"
#include "experiments/study/results/summary.h"

namespace ringmaster {
namespace {

constexpr int kMinWidth = 80;
constexpr int kColumnGap = 2;
constexpr int kGroupGap = 3;
constexpr char kUndefined[] = "–";

using Figure = std::function<std::optional<double>(const RunSummary&)>;

struct Column {
  std::string title;
  std::string unit;
  int decimals = 0;
  Figure figure;
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

#define RM_FIGURE(field, scale)                      \
  [](const RunSummary& s) -> std::optional<double> { \
    if (!s.has_##field()) return std::nullopt;       \
    return static_cast<double>(s.field()) * (scale); \
  }

// Milliseconds a step of some phases together; undefined for a run without figures.
Figure Phases(std::vector<Phase> phases) {
  return [phases = std::move(phases)](const RunSummary& s) -> std::optional<double> {
    if (!s.has_step_ms_p50()) return std::nullopt;
    double sum = 0;
    for (Phase phase : phases) sum += PhaseMs(s, PhaseName(phase));
    return sum;
  };
}

Figure SecondsTo(const char* threshold) {
  return [threshold](const RunSummary& s) -> std::optional<double> {
    const auto found = s.seconds_to_accuracy().find(threshold);
    if (found == s.seconds_to_accuracy().end()) return std::nullopt;
    return found->second;
  };
}

std::vector<Group> MakeGroups() {
  std::vector<Group> groups = {
      {"speed",
       {{"samples", "/s", 0, RM_FIGURE(samples_per_second, 1)},
        {"speed-up", "× single", 2, RM_FIGURE(speed_up_over_single, 1)},
        {"efficiency", "% of solo", 1, RM_FIGURE(efficiency, 100)},
        {"step p50", "ms", 2, RM_FIGURE(step_ms_p50, 1)},
        {"step p95", "ms", 2, RM_FIGURE(step_ms_p95, 1)},
        {"processes", "/core", 1,
         [](const RunSummary& s) -> std::optional<double> {
           return s.processes_per_core() > 0 ? std::optional<double>(s.processes_per_core()) : std::nullopt;
         }}}},
      {"where a step's time goes, ms",
       {{"compute", "", 2, Phases({Phase::kForward, Phase::kBackward})},
        {"gate", "", 2, Phases({Phase::kGate})},
        {"exposed", "", 2, RM_FIGURE(exposed_comm_ms, 1)},
        {"update", "", 2, Phases({Phase::kUpdate})},
        {"contention", "", 2, RM_FIGURE(contention_ms, 1)},
        {"exposed +", "contention", 2, ExposedAndContentionMs}}},
      {"communication",
       {{"exposed", "% of it", 1,
         [](const RunSummary& s) -> std::optional<double> {
           const std::optional<double> share = ExposedShare(s);
           return share.has_value() ? std::optional<double>(*share * 100) : std::nullopt;
         }},
        {"hidden", "ms", 2, RM_FIGURE(hidden_comm_ms, 1)},
        {"encode", "ms", 2,
         [](const RunSummary& s) -> std::optional<double> {
           if (!s.has_hidden_comm_ms()) return std::nullopt;  // exchanges nothing
           return PhaseMs(s, PhaseName(Phase::kEncode));
         }}}},
      {"bytes and staleness",
       {{"up", "kB/step", 1, RM_FIGURE(bytes_up_per_step, 1e-3)},
        {"down", "kB/step", 1, RM_FIGURE(bytes_down_per_step, 1e-3)},
        {"stale", "mean", 2, RM_FIGURE(staleness_mean, 1)},
        {"stale", "max", 0, RM_FIGURE(staleness_max, 1)}}},
      {"learning",
       {{"loss", "final", 4, RM_FIGURE(final_loss, 1)}, {"accuracy", "test %", 2, RM_FIGURE(test_accuracy, 100)}}},
  };
  for (const AccuracyThreshold& threshold : AccuracyThresholds()) {
    groups.back().columns.push_back(
        {absl::StrFormat("to %g %%", threshold.accuracy * 100), "s", 1, SecondsTo(threshold.name)});
  }
  return groups;
}
#undef RM_FIGURE

// The transport of most arms; what differs from it is another wire.
std::string UsualTransport(const std::vector<RunSummary>& summaries) {
  std::map<std::string, int> counts;
  for (const RunSummary& summary : summaries) ++counts[summary.transport()];
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

struct Rows {
  std::vector<std::string> arms;
  std::vector<std::string> notes;
  int width = 3;  // of the arm column; "arm" at least
};

Rows MakeRows(const std::vector<RunSummary>& summaries) {
  Rows rows;
  const std::string usual = UsualTransport(summaries);
  bool negative_contention = false;
  std::vector<std::string> failures;
  for (const RunSummary& summary : summaries) {
    std::string arm = summary.arm();
    if (summary.status() != "ok") {
      absl::StrAppend(&arm, " ✗");
      failures.push_back(absl::StrCat("✗ ", summary.arm(), " failed, so it has no figures: ", summary.status()));
    } else if (summary.transport() != usual) {
      absl::StrAppend(&arm, " *");
      rows.notes.push_back(
          absl::StrCat("* ", summary.arm(), ": other wire (", summary.transport(), "; the others ", usual, ")"));
    }
    negative_contention |= summary.contention_ms() < -0.005;
    rows.width = std::max(rows.width, DisplayWidth(arm));
    rows.arms.push_back(std::move(arm));
  }
  if (negative_contention) rows.notes.push_back("contention below 0 is noise: less than this run can tell apart");
  rows.notes.insert(rows.notes.end(), failures.begin(), failures.end());
  return rows;
}

void Layout(const std::vector<RunSummary>& summaries, Group* group) {
  group->width = -kColumnGap;
  for (Column& column : group->columns) {
    column.width = std::max(DisplayWidth(column.title), DisplayWidth(column.unit));
    for (const RunSummary& summary : summaries) {
      const std::optional<double> value = column.figure(summary);
      column.cells.push_back(value.has_value() ? absl::StrFormat("%.*f", column.decimals, *value) : kUndefined);
      column.width = std::max(column.width, DisplayWidth(column.cells.back()));
    }
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

// Cuts the groups, in their order, into the fewest blocks that fit into `width`; of those cuts, the one whose widest
// block is the narrowest. A group that fits nowhere stands alone.
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
    absl::StrAppend(
        &titles, std::string(kGroupGap, ' '),
        left < 0 ? PadRight(group->title, group->width) : absl::StrCat(Line(left), " ", group->title, " ", Line(right)));
    absl::StrAppend(&rule, std::string(kGroupGap, ' '), Line(group->width));
  }
  std::string text = titles + "\n";
  absl::StrAppend(&text, TableLine(block, PadRight("arm", rows.width), [](const Column& c) { return c.title; }));
  absl::StrAppend(&text, TableLine(block, PadRight("", rows.width), [](const Column& c) { return c.unit; }));
  absl::StrAppend(&text, rule, "\n");
  for (size_t i = 0; i < rows.arms.size(); ++i) {
    absl::StrAppend(&text,
                    TableLine(block, PadRight(rows.arms[i], rows.width), [i](const Column& c) { return c.cells[i]; }));
  }
  return text;
}

}  // namespace

std::string RenderTable(const std::vector<RunSummary>& summaries, int terminal_width) {
  std::vector<Group> groups = MakeGroups();
  for (Group& group : groups) Layout(summaries, &group);
  const Rows rows = MakeRows(summaries);
  const std::vector<Block> blocks = Pack(groups, rows.width, std::max(terminal_width, kMinWidth));
  std::string text;
  for (const Block& block : blocks) absl::StrAppend(&text, RenderBlock(block, rows), "\n");
  absl::StrAppend(&text,
                  "hidden and encode: on the exchange thread beside compute, no part of the step\n"
                  "bytes: payload of a worker and step; – not defined, not metered or not reached\n");
  for (const std::string& note : rows.notes) absl::StrAppend(&text, note, "\n");
  return text;
}

}  // namespace ringmaster
