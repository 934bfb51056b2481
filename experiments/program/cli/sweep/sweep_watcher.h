#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_WATCHER_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_WATCHER_H_

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/study/sweep/run_sweep.h"

namespace ringmaster {

// Shows a sweep's runs on standard error: a status line for each, and its outcome.
class TerminalWatcher : public SweepWatcher {
 public:
  void OnStart(const SweepState& state, const PlannedCell& cell, int32_t trial) override {
    line_.emplace();
    state_ = state;
    const size_t ended = state.done + state.failed + state.stopped;
    label_ = absl::StrCat(std::min(ended + 1, state.runs), "/", state.runs, " ",
                          SettingsText(cell.settings), " trial ", trial);
  }

  void OnProgress(const ArmProgress& progress) override {
    std::string text = absl::StrFormat("%s  step %d/%d", label_, progress.step, progress.steps);
    if (progress.step > 0)
      absl::StrAppendFormat(&text, "  %.1f steps/s", progress.step / progress.seconds);
    if (state_.seconds_left > 0) {
      absl::StrAppend(&text, "  ",
                      FormatSeconds(std::max(0.0, state_.seconds_left - progress.seconds)),
                      " left");
    }
    if (state_.failed > 0) absl::StrAppend(&text, "  ", state_.failed, " failed");
    line_->Show(std::move(text), progress.seconds, progress.step > 0);
  }

  void OnWait(const std::string& holder) override {
    std::fprintf(stderr, "waiting for the runs that other programs are at (%s)\n", holder.c_str());
  }

  void OnLeave(size_t count, const std::string& holder) override {
    std::fprintf(stderr, "%zu runs are left to other programs, which are at them (%s)\n", count,
                 holder.c_str());
  }

  void OnEnd(const RunSummary& summary, bool stopped) override {
    line_->Finish(
        summary.status() == "ok"
            ? absl::StrFormat("%s  %.1f s  %s samples/s", label_, summary.run_seconds(),
                              FormatCount(summary.samples_per_second()))
            : absl::StrCat(label_, stopped ? "  stopped: " : "  failed: ", summary.status()));
  }

 private:
  SweepState state_;
  std::string label_;
  std::optional<StatusLine> line_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_WATCHER_H_
