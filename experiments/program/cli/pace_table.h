#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PACE_TABLE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PACE_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/program/run/arm_progress.h"

namespace ringmaster {

class RunSpec;

// What is known of an arm while it still takes turns.
struct ArmSoFar {
  Pace pace;
  double loss = 0;  // of training, as it was last heard; 0: not yet
};

// After so many rounds of turns, so long after the arms were started.
struct RoundsSoFar {
  int64_t rounds = 0;
  double seconds = 0;
};

// The arms' steps so far, a line each under a head, without a newline at the end: timed steps,
// milliseconds a step, samples/s, of the samples/s of `solo` where it is one of them, and the loss.
// The table of the end has medians over workers' own steps; here a step is a turn's time over its
// steps. `specs` are resolved, as many as `arms`. Pure, thread-safe.
std::string PaceTable(const std::vector<RunSpec>& specs, const std::vector<ArmSoFar>& arms,
                      const RoundsSoFar& so_far);

// Whether a table is worth showing after so many rounds: each has twice as many steps as the one
// before. Pure.
bool IsTableRound(int64_t rounds);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PACE_TABLE_H_
