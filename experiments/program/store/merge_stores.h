#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_MERGE_STORES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_MERGE_STORES_H_

#include <map>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringmaster {

class RunRecord;

// The runs of several stores as one store. A run is known by its run_id; the same run in several
// stores is one. The result depends on the runs alone, not on the order of the stores, and is
// ordered by the runs' dates, then by their ids. One thread.
class StoreMerge {
 public:
  // Reads the store in `out`, where there is one, and those in `folders`; writes nothing. NotFound:
  // a folder holds no store. InvalidArgument: two stores have unlike records of one run, both of
  // which are named; or one cannot be read, as Store::ReadRecords says. A line that is not whole,
  // of a program that was killed as it wrote, is skipped (problems).
  static absl::StatusOr<StoreMerge> Read(const std::string& out,
                                         const std::vector<std::string>& folders);

  // Makes the folder `out` the store of all runs: records, results.jsonl and the index, each
  // complete or as it was. What is done already is left alone, so an interrupted or repeated call
  // changes only what is missing. Files of lines of other writers stay, with their runs, since
  // these may be at work. Unavailable: another program writes to results.jsonl; disk errors.
  absl::Status Write() const;

  const std::string& out() const { return out_; }
  size_t runs() const { return runs_.size(); }
  // Of them, those that `out` does not have yet.
  size_t added() const { return runs_.size() - in_out_.size(); }
  // What is said of the stores: lines that were skipped, runs without a record, trials of a sweep
  // that were run more than once. A sentence each.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Run {
    std::string started_at;
    std::string line;
    std::string bytes;   // of its record; empty: nobody has one
    std::string folder;  // where it was found first
  };

  explicit StoreMerge(std::string out) : out_(std::move(out)) {}
  absl::Status Add(const std::string& folder);
  absl::Status AddRecord(const std::string& folder, const RunRecord& record);
  absl::Status AddLines(const std::string& folder);
  absl::Status AddLine(const std::string& folder, const std::string& line);
  std::string FirstLines() const { return out_ + "/results.jsonl"; }
  std::string Lines() const;  // that it gets
  absl::Status CheckNobodyWrites() const;

  std::string out_;
  std::map<std::string, Run> runs_;  // by run_id
  std::set<std::string> in_out_;     // ids
  std::set<std::string> elsewhere_;  // of those whose lines stand in another file of `out`
  // By sweep, cell and trial, the ids of its finished runs.
  std::map<std::string, std::vector<std::string>> trials_;
  std::vector<std::string> problems_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_MERGE_STORES_H_
