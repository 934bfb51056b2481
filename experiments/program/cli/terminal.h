#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_TERMINAL_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_TERMINAL_H_

#include <string>

#include "experiments/program/run/arm_progress.h"

namespace ringmaster {

// Columns of the terminal on standard output; 120 where it is none.
int TerminalWidth();

// A line on standard error that is rewritten on a terminal; elsewhere a plain line now and then.
class StatusLine {
 public:
  StatusLine();
  // `seconds`: since what it is about began; the first plain line comes when `worth_telling`.
  void Show(std::string text, double seconds, bool worth_telling);
  // Replaces the line for good.
  void Finish(const std::string& text);

 private:
  const bool terminal_;
  bool shown_ = false;
  double last_shown_seconds_ = 0;
};

// One arm's progress on a status line.
class ProgressLine {
 public:
  explicit ProgressLine(std::string arm);
  void Show(const ArmProgress& progress);
  // Replaces the line by the arm's outcome.
  void Finish(const std::string& outcome);

 private:
  // At the pace since the first step that was seen: neither the start nor the steps before a
  // checkpoint say how long one takes. 0: nobody knows yet.
  double SecondsLeft(const ArmProgress& progress);

  const std::string arm_;
  StatusLine line_;
  int64_t first_step_ = 0, last_step_ = 0;
  double first_seconds_ = 0;
};

// "1 m 05 s", "12 s"
std::string FormatSeconds(double seconds);
// "8 120"
std::string FormatCount(double count);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_TERMINAL_H_
