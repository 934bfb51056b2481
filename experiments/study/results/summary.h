#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SUMMARY_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SUMMARY_H_

#include <string>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

class RunRecord;

// The figures of one run, from its reports alone; catalogue.cc has the definition of each. Pure,
// thread-safe. A run whose status is not "ok" gets its settings and status and no figures. What is
// not defined for the arm stays absent.
//   transport   what carried the bytes, "shm+tcp" where processes report both; of an all-reduce by
//               another library, that library and its wire
//   phase_ms    mean per timed step and worker
RunSummary Summarize(const RunRecord& record);

// What `arm` is measured against by its efficiency, in samples/s: the sum of the own rates of
// solo's workers where the arm's claim their work, and N times that of the slowest where it is
// dealt. REQUIRES: `solo` has samples_per_second.
double CeilingFor(const RunSummary& arm, const RunSummary& solo);

// The solo arm among `summaries` whose workers' own rates are known; null: there is none.
const RunSummary* FindSolo(const std::vector<RunSummary>& summaries);

// Fills the figures that need other arms of the same comparison: `summaries` are those finished so
// far, in any order; may be called again as arms finish. Absent where the arm it needs is missing
// or failed. Pure but for *summaries.
void AddComparative(std::vector<RunSummary>* summaries);

// For a line under the table, how a step's payload was divided among the wires: "wires: ring: shm
// 12.3 MB, tcp 12.3 MB a step up, shm 12.3 MB, tcp 12.3 MB down", the mean over workers and steps,
// as the table's bytes. Empty where one wire carried all of a run on one host. Pure.
std::string WiresText(const RunRecord& record);

// Phase `name` of the summary in milliseconds a step, 0 where it did not occur.
double PhaseMs(const RunSummary& summary, const char* name);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SUMMARY_H_
