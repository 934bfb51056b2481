#include "experiments/study/report/first_screen.h"
#include "experiments/study/report/comparisons.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/figures.h"

namespace ringmaster {
namespace {

size_t FinishedArms(const Comparison& comparison) {
  return std::count_if(comparison.cells.begin(), comparison.cells.end(),
                       [](const ReportCell& cell) { return !cell.trials.empty(); });
}

// Of all runs how many were disturbed, and the most that was taken from one.
std::string DisturbanceText(const Comparisons& comparisons) {
  size_t runs = 0, disturbed = 0;
  double most = 0;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials) {
        ++runs;
        if (!IsDisturbed(*trial.record)) continue;
        ++disturbed;
        const Conditions& conditions = trial.record->conditions();
        most = std::max(most, conditions.foreign_share() + conditions.stolen_share());
      }
    }
  }
  if (disturbed == 0) return "";
  const std::string taken =
      most < 0.01 ? std::string("heat, a CPU quota or a stop held them up")
                  : absl::StrFormat("others took up to %.0f %% of its cores", 100 * most);
  return absl::StrFormat("The machine was not quiet during %d of %d runs: %s.", disturbed, runs,
                         taken);
}

// The fewest pairs of trials of two arms that both exchange something; 0 where no two do.
size_t FewestPairs(const Comparisons& comparisons) {
  size_t fewest = 0;
  for (const Comparison& comparison : comparisons.all) {
    for (const PairedFigure& pair : PairedFigures(comparison)) {
      if (fewest == 0 || pair.pairs < fewest) fewest = pair.pairs;
    }
  }
  return fewest;
}

}  // namespace

int MainComparison(const Comparisons& comparisons) {
  const auto rank = [](const Comparison& comparison) {
    return std::make_tuple(FinishedArms(comparison), comparison.workers(), comparison.number);
  };
  const auto main =
      std::max_element(comparisons.all.begin(), comparisons.all.end(),
                       [&](const Comparison& a, const Comparison& b) { return rank(a) < rank(b); });
  return main == comparisons.all.end() ? 0 : main->number;
}

std::string FirstDoubt(const Comparisons& comparisons) {
  const std::vector<std::string> doubts = Doubts(comparisons);
  const std::string more =
      doubts.empty() ? ""
                     : absl::StrCat(" ", doubts.size(),
                                    doubts.size() == 1 ? " doubtful figure is" : " doubts are",
                                    " named below.");
  if (const std::string text = DisturbanceText(comparisons); !text.empty()) return text + more;
  if (const size_t failed = comparisons.failed.size(); failed > 0) {
    return absl::StrCat(failed, failed == 1 ? " run" : " runs",
                        " failed; figures are of the others alone.", more);
  }
  if (!doubts.empty()) return absl::StrCat(doubts.front(), doubts.size() > 1 ? more : "");
  const size_t pairs = FewestPairs(comparisons);
  if (pairs == 0 || pairs >= kPairsForVerdict) return "";
  return absl::StrCat("With ", pairs, pairs == 1 ? " trial" : " trials",
                      " of an arm a difference may be chance: a verdict takes ", kPairsForVerdict,
                      ".");
}

}  // namespace ringmaster
