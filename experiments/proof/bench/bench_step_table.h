#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_STEP_TABLE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_STEP_TABLE_H_

#include <string>
#include <vector>

#include "experiments/proof/bench/bench_step.h"

namespace ringmaster {

// `bench step` as text: a row a contender, where our steps' time goes, and the ratios of each
// strategy to solo and to every peer, pair by pair, with their 95 % intervals. Pure. `times` as
// RunStepBench returned them.
std::string StepTable(const StepBench& bench, const std::vector<StepTimes>& times);

// The same as one JSON object, without a line's end.
std::string StepJson(const StepBench& bench, const std::vector<StepTimes>& times);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_STEP_TABLE_H_
