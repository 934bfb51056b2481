#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_CAVEATS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_CAVEATS_H_

#include <string>
#include <vector>

namespace ringmaster {

class RunRecord;
struct Comparisons;
struct ReportCell;

// "1 run", "3 runs"
std::string Counted(size_t count, const char* one, const char* many);

// Whether the machine was busy with something else during the run, or slowed down.
bool IsDisturbed(const RunRecord& record);

// Indices of the trials of a cell whose samples/s lie far from the others'
// (experiments/study/results, Outliers).
std::vector<size_t> OutlierTrials(const ReportCell& cell);

// What the results do not show: a sentence for each thing about machine, network, load, trials and
// settings that keeps them from saying more. Generated from the records; at least one, since no
// measurement shows everything. Pure.
std::vector<std::string> Limits(const Comparisons& comparisons);

// Which figures are doubtful, a sentence each: outliers, drift, load of other processes,
// throttling. All of them count all the same. Pure.
std::vector<std::string> Doubts(const Comparisons& comparisons);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_CAVEATS_H_
