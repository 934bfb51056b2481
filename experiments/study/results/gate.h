#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_GATE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_GATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Whether a machine is at the end of a comparison what it was at the beginning: steps of one arm,
// run at both. Pure, thread-safe.

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

// At the beginning of the comparison and at its end.
struct GateBlocks {
  GateBlock begin;
  GateBlock end;
};

// Of an arm of `ranks` workers that took turns, the first and the last turn of at least 5 timed
// steps, which alone count. Empty where it has no two of them.
std::optional<GateBlocks> BlocksOfTurns(
    const google::protobuf::RepeatedPtrField<ProcessReport>& reports,
    const google::protobuf::RepeatedPtrField<ArmTurn>& turns, int32_t ranks);

struct GateResult {
  bool passes = false;
  std::string text;  // both medians, how far they are apart, and what is allowed
};

// Passes if the two medians are no further apart than `percent` of the first.
GateResult JudgeGate(const std::string& arm, const GateBlocks& blocks, double percent);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_GATE_H_
