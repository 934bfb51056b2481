#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_EQUAL_BYTES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_EQUAL_BYTES_H_

#include <string>
#include <vector>

#include "experiments/study/sweep/sweep_plan.h"

namespace ringmaster {

class RunRecord;

// What cells have learned by the time that a worker has moved so many bytes: a table with a line a
// cell, and a column for the most payload that a worker of any cell has moved (sent and received),
// for a quarter of it, a sixteenth, and so on down to what nobody had been scored at. A value is
// the test loss at the last mark up to which the worker had moved no more, the median over trials
// with its 95 % interval; with a star where that is the run's end, so that the cell had bytes left.
// Bytes are spread evenly over a run's samples. Empty: fewer than two cells were scored at marks
// with their bytes metered. `records` are of this sweep, of which the last ok one of a cell and
// trial counts. Pure.
std::string EqualBytesText(const SweepPlan& plan, const std::vector<RunRecord>& records);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_EQUAL_BYTES_H_
