#include "experiments/program/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ringmaster {
namespace {

// Elsewhere than on a terminal, a line every so often keeps a log readable.
constexpr double kPlainLineSeconds = 10;

int WidthOf(int fd) {
  winsize size{};
  if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 120;
}

}  // namespace

int TerminalWidth() { return WidthOf(STDOUT_FILENO); }

std::string FormatSeconds(double seconds) {
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return absl::StrCat(whole, " s");
  return absl::StrFormat("%d m %02d s", whole / 60, whole % 60);
}

std::string FormatCount(double count) {
  std::string digits = absl::StrCat(std::llround(count));
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(at, " ");
  return digits;
}

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO)) {}

void StatusLine::Show(std::string text, double seconds, bool worth_telling) {
  const bool due = shown_ ? seconds - last_shown_seconds_ >= kPlainLineSeconds : worth_telling;
  if (!terminal_ && !due) return;
  shown_ = true;
  last_shown_seconds_ = seconds;
  if (terminal_) {
    // A line that wraps could not be written over.
    text.resize(std::min<size_t>(text.size(), WidthOf(STDERR_FILENO) - 1));
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void StatusLine::Finish(const std::string& text) {
  std::fprintf(stderr, "%s%s\n", terminal_ ? "\r\033[K" : "", text.c_str());
  std::fflush(stderr);
}

ProgressLine::ProgressLine(std::string arm) : arm_(std::move(arm)) {}

void ProgressLine::Show(const ArmProgress& progress) {
  std::string text = absl::StrFormat("%-20s step %d/%d", arm_, progress.step, progress.steps);
  if (progress.samples_per_second > 0) {
    absl::StrAppend(&text, "  ", FormatCount(progress.samples_per_second), " samples/s");
    absl::StrAppendFormat(&text, "  loss %.4f", progress.loss);
  } else {
    absl::StrAppend(&text, "  starting");
  }
  if (progress.scored_marks > 0) {
    absl::StrAppendFormat(&text, "  %d of %d marks scored  %.1f %%", progress.scored_marks,
                          progress.marks, 100 * progress.test_accuracy);
  } else if (progress.marks > 0) {
    absl::StrAppend(&text, "  accuracy after the run");
  }
  if (const double left = SecondsLeft(progress); left > 0 && progress.scored_marks == 0)
    absl::StrAppend(&text, "  ", FormatSeconds(left), " left");
  line_.Show(std::move(text), progress.seconds, progress.step > 0);
}

double ProgressLine::SecondsLeft(const ArmProgress& progress) {
  if (progress.step <= 0) return 0;
  if (progress.step < last_step_ || last_step_ == 0) {
    first_step_ = progress.step;
    first_seconds_ = progress.seconds;
  }
  last_step_ = progress.step;
  const int64_t made = progress.step - first_step_;
  if (made == 0) return 0;
  return (progress.seconds - first_seconds_) / static_cast<double>(made) *
         static_cast<double>(progress.steps - progress.step);
}

void ProgressLine::Finish(const std::string& outcome) {
  line_.Finish(absl::StrFormat("%-20s %s", arm_, outcome));
}

}  // namespace ringmaster
