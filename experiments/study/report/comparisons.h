#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_COMPARISONS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_COMPARISONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/record.pb.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

// One finished run of a cell. `key` pairs it with the runs of other cells that took place beside
// it: a sweep's trial, otherwise its ordinal among the runs of its cell.
struct Trial {
  std::string key;
  const RunRecord* record = nullptr;
  RunSummary summary;  // with the figures that need other arms, from the runs of the same key
};

// All runs of one spec that read the same data, whatever their training.seed.
struct ReportCell {
  std::string arm;  // its name; with the strategy's settings where several cells of one name stand
                    // side by side
  std::string arm_name;  // its name alone
  RunSpec spec;          // of the first run, without the seed
  std::vector<Trial> trials;
  std::vector<const RunRecord*> failed;  // or stopped
};

// Cells that may stand side by side: they differ in strategy and codec alone
// (common/config/comparable.h), ran on one machine and read the same files
// (common/config/run_inputs.h); either all are measured, or all simulated with the same computing;
// and the same faults were asked for in all of them.
struct Comparison {
  int number = 0;     // from 1
  int family = 0;     // the same for comparisons that differ in nothing but the number of workers
  std::string label;  // by what differs among the comparisons: "N = 2, bucket_bytes = 65536"
  std::vector<ReportCell> cells;  // by the order of arms
  // what its runs have in common, by path; and time, machine.host, data.contents and
  // training.initial_weights where there are files, and faults where some were asked for
  std::map<std::string, std::string> fields;
  int32_t workers() const { return cells.front().spec.training().workers(); }
};

// The runs of a store, sorted. Points into the records, which outlive it.
struct Comparisons {
  std::vector<Comparison> all;
  // paths of the fields that are not the same in all comparisons
  std::vector<std::string> differing;
  std::vector<std::string> arms;  // labels of all cells, each once, by the order of arms
  // Failed or stopped; but not what a sweep has made again since, and well.
  std::vector<const RunRecord*> failed;
  int repeated = 0;  // runs of trials of a sweep that another run has made: only the first counts
  int evaluations = 0;  // records of runs that only evaluate: no part of any comparison
};

// "learning_rate=0.08 (tuned)", of all fields of which the cell has its best value; of one at the
// edge of its grid it says so. Empty: nothing was tuned. Pure.
std::string TunedText(const ReportCell& cell);

// Those of `failed` that were stopped (RunRecord.stopped). Pure.
size_t StoppedAmong(const std::vector<const RunRecord*>& failed);

// "1 failed", "2 stopped", "1 failed, 2 stopped"; empty: there are none. Pure.
std::string FailedCounts(const std::vector<const RunRecord*>& failed);

// "1 run failed", "2 runs were stopped", "1 run failed, 2 were stopped". REQUIRES: there are some.
// Pure.
std::string FailuresText(const std::vector<const RunRecord*>& failed);

// Groups `records`. Pure, thread-safe.
Comparisons GroupRecords(const std::vector<RunRecord>& records);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_COMPARISONS_H_
