#ifndef RINGMASTER_EXPERIMENTS_CLI_TERMINAL_H_
#define RINGMASTER_EXPERIMENTS_CLI_TERMINAL_H_

#include <atomic>
#include <string>

#include "experiments/launch/run_arm.h"

namespace ringmaster {

// From now on SIGINT, SIGTERM and SIGHUP only set InterruptFlag(): whoever runs something looks at it.
void HandleSignals();
const std::atomic<bool>& InterruptFlag();

// Columns of the terminal on standard output; 120 where it is none.
int TerminalWidth();

// One arm's progress on standard error: a line that is rewritten on a terminal, a plain line now and then elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(std::string arm);
  void Show(const ArmProgress& progress);
  // Replaces the line by the arm's outcome.
  void Finish(const std::string& outcome);

 private:
  const std::string arm_;
  const bool terminal_;
  bool shown_ = false;
  double last_shown_seconds_ = 0;
};

// "1 m 05 s", "12 s"
std::string FormatSeconds(double seconds);
// "8 120"
std::string FormatCount(double count);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_CLI_TERMINAL_H_
