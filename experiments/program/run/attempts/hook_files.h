#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_HOOK_FILES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_HOOK_FILES_H_

#include <string>

namespace ringmaster {

// The files by which who leads a run has a hand in the steps of its processes. Each may be empty:
// there is none.
struct HookFiles {
  std::string turns;   // grants the steps (experiments/program/run/turns.h)
  std::string faults;  // has faults done (experiments/program/run/faults/injected_faults.h)
  std::string
      clock;  // has the clock of training run on (experiments/program/run/attempts/run_clock.h)
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_HOOK_FILES_H_
