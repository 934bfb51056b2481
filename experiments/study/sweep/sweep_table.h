#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_SWEEP_TABLE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_SWEEP_TABLE_H_

#include <string>
#include <vector>

#include "experiments/program/store/store.h"
#include "experiments/study/sweep/sweep_plan.h"

namespace ringmaster {

class RunRecord;

// What a sweep will run, as text that ends with a newline: its cells with how much of each is done,
// the cells that are not run and why. `runs`: what the store has of it. Pure.
std::string PlanText(const SweepPlan& plan, const std::vector<SweepRun>& runs);

// A sweep's results so far, a line a cell: medians over trials with their 95 % intervals by
// bootstrap, efficiency against the solo cell trial by trial, and under the table what makes a
// figure doubtful: few trials, outliers, other work on the machine, several builds or machines.
// `records` are of this sweep, of which the last ok one of a cell and trial counts; they may lack
// their reports. Pure.
std::string ResultsText(const SweepPlan& plan, const std::vector<RunRecord>& records);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_SWEEP_TABLE_H_
