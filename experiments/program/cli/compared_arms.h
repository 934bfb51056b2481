#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMPARED_ARMS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMPARED_ARMS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/run/arm_progress.h"
#include "experiments/program/run/faults/fault.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/study/results/gate.h"
#include "experiments/study/tune/run_tuning.h"

namespace ringmaster {

class RunRecord;
class RunSpec;

// Why these arms would run one after the other if they were run now: there is one, the user wants
// it by `flag` (empty: by none), or they do not fit (experiments/program/run/run_in_turns.h).
// Empty: they would take turns. `specs` are resolved and valid, and not empty.
std::string WhyOneByOne(const std::vector<RunSpec>& specs, const std::string& flag);

// The arms of one command: trains them, in turns where that is wanted and they fit, and keeps and
// shows what they did. One thread.
class ComparedArms {
 public:
  struct Options {
    int device = 0;
    double gate = 0;         // percent; 0: none
    std::string one_by_one;  // the flag that has arms run one after the other; empty: none
    // By arm: checkpoints that it could not go on from, and why.
    std::vector<std::vector<std::string>> refused;
    std::vector<Fault> faults;  // done to the processes of every arm that can have them
    std::string outputs;        // RunArmOptions'
  };
  // `specs` are resolved and valid. `tuned`: by arm, what its values were found from; empty:
  // nothing is tuned. All of them outlive this object.
  ComparedArms(const Options& options, const std::vector<RunSpec>& specs,
               const std::vector<TunedArm>& tuned, Outcome* outcome)
      : options_(options), specs_(specs), tuned_(tuned), outcome_(*outcome) {}

  // Returns the exit code so far.
  int Train();

  // Compares the first arm's first turn with its last one; where it has no two turns, it first runs
  // its first block again, of which nothing is kept. Returns the exit code so far.
  int Gate();

 private:
  void TrainInTurns();
  void TrainOneByOne();
  // Runs an arm by itself, and has its faults done to it.
  RunRecord TrainOne(size_t arm, const ProgressSink& progress);
  // The first block and the same steps once more. Unavailable: that run failed.
  absl::StatusOr<GateBlocks> RunAgain();
  RunArmOptions ArmOptions() const;
  std::string LabelOf(size_t arm) const;
  // Puts an arm's record into the outcome. Returns what it came to, for the progress line; an error
  // is told.
  absl::StatusOr<std::string> Keep(size_t arm, RunRecord record, double seconds);

  const Options options_;
  const std::vector<RunSpec>& specs_;
  const std::vector<TunedArm>& tuned_;
  Outcome& outcome_;
  int code_ = 0;
  GateBlock first_block_;                  // of the first arm
  std::optional<GateBlocks> turn_blocks_;  // of the first arm, where it has two turns
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMPARED_ARMS_H_
