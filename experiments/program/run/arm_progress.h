#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ARM_PROGRESS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ARM_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ringmaster {

// What a progress display is shown while an arm runs.
struct ArmProgress {
  int64_t step = 0;
  int64_t steps = 0;
  double loss = 0;
  double samples_per_second = 0;
  double test_accuracy = 0;  // at the mark last scored; 0: none yet
  int64_t scored_marks = 0;  // after training
  int64_t marks = 0;         // at which the model is scored
  std::string phase;
  double seconds = 0;         // since the arm was started
  std::vector<int64_t> pids;  // by process; 0: has not joined
};

// The steps of some turns that were timed, and what they took.
struct Pace {
  int64_t steps = 0;
  double seconds = 0;
};

using ProgressSink = std::function<void(const ArmProgress&)>;

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ARM_PROGRESS_H_
