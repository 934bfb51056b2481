#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_IN_TURNS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_IN_TURNS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/program/run/arm_progress.h"

namespace ringmaster {

class RunRecord;
class RunSpec;

// What arms that are all alive at once take of a machine, and what it has.
struct TurnNeeds {
  int64_t planned_bytes = 0;          // of all arms (experiments/program/run/memory/memory_plan.h)
  std::optional<int64_t> free_bytes;  // absent: unknown
  int32_t ranks = 0;                  // of all arms
  int32_t cores = 0;                  // 0: unknown
  int64_t descriptors = 0;            // files that the process that leads all arms may have open
  std::optional<int64_t> descriptor_limit;  // absent: none
  bool on_gpu = false;  // kernels of some arm run there; no plan counts its memory
};

// Why arms with these needs are not alive at once: more than 60 % of the free memory, more than 16
// ranks a core, more open files than this process may have, or kernels on a GPU. Empty: they can
// be. Pure.
std::string WhyNoTurns(const TurnNeeds& needs);

// The same of this machine as it is now, for arms whose specs are resolved and valid; also: what
// they need is not known.
std::string WhyNoTurnsHere(const std::vector<RunSpec>& specs);

struct RunInTurnsOptions {
  int device = 0;
  // Set from elsewhere (a signal handler) to end all arms.
  const std::atomic<bool>* interrupted = nullptr;
  std::string outputs;  // RunArmOptions'
  // Called some times a second for the arm whose turn it is, by index, and once for every arm that
  // has ended, with what RunArm returns, its turns, and the conditions of these alone: those that
  // failed when the turn ends, the others in their order. One call at a time; any thread.
  std::function<void(size_t arm, const ArmProgress& progress)> progress;
  std::function<void(size_t arm, RunRecord record)> ended;
  // After each round of turns, while some arm is left: how many rounds there were, and by arm what
  // its turns came to. As the calls above one at a time.
  std::function<void(int64_t rounds, const std::vector<Pace>& paces)> round;
};

// Runs the arms as RunArm does, but all of them are alive at once and take turns
// (experiments/program/run/take_turns.h). An arm that fails leaves the others alone. Once
// interrupted, arms that have not been started never are, and `ended` is not called for them. When
// it returns, no process it started is left.
void RunInTurns(const std::vector<RunSpec>& specs, const RunInTurnsOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_IN_TURNS_H_
