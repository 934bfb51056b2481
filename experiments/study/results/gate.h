#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_GATE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_GATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace ringmaster {

// Whether a machine is at the end of a comparison what it was at the beginning: the same steps of
// one arm, run at both. Pure, thread-safe.

// Milliseconds of every step, by worker.
using StepMs = std::vector<absl::Span<const float>>;

// Steps [begin, end) of a run, and their median over all workers.
struct GateBlock {
  int64_t begin = 0;
  int64_t end = 0;
  double step_ms = 0;
};

// The first block of a run: from step `begin` until 5 s are over or 100 steps are done, but at
// least 10 steps. Empty where the run has no such steps.
GateBlock FirstBlock(const StepMs& step_ms, int64_t begin);

// The median of these steps; 0 where there are none.
double MedianStepMs(const StepMs& step_ms, int64_t begin, int64_t end);

struct GateResult {
  bool passes = false;
  std::string text;  // both medians, how far they are apart, and what is allowed
};

// `later_ms`: the median of the block's steps at the end. Passes if the two are no further apart
// than `percent` of the first.
GateResult JudgeGate(const std::string& arm, const GateBlock& block, double later_ms,
                     double percent);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_GATE_H_
