#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_FILES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_FILES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/store/json_lines.h"

namespace ringmaster {

class RunRecord;

// The runs of a store as files: what is true of them. The database beside them is an index of
// these.
//   results.jsonl        a line a run (experiments/program/store/json.h), of the first writer
//   results-ID.jsonl     the same, of a writer that finds the first file taken
//   records/RUN_ID.pb    the whole RunRecord of that run, bytes of the protobuf
// A writer has a file of lines to itself, so files on a shared folder need no lock between
// machines.

// A line of a store's files. Lines of older programs have no record file.
struct ListedRun {
  std::string run_id;
  std::string started_at;
  std::string record_file;  // its path; empty: there is none
};

// The runs in all files of lines of `folder`, by their dates; none where there is no such file.
// A last line without its end is being written, and is left out. Thread-safe.
std::vector<ListedRun> ListRuns(const std::string& folder);

// The record of `run`. DataLoss: the file is no record, or that of another run. NotFound and other
// codes: it cannot be read. REQUIRES: run.record_file is not empty.
absl::StatusOr<RunRecord> ReadRecordFile(const ListedRun& run);

// Writes the runs of one program. One thread at a time.
class RunFiles {
 public:
  // Takes results.jsonl of `folder`, which exists, or where another writer has it leaves the choice
  // of a name to the first Append. InvalidArgument: results.jsonl cannot be written.
  static absl::StatusOr<std::unique_ptr<RunFiles>> Open(const std::string& folder);

  // Writes the record's file and line, onto the disk. On an error neither is there. AlreadyExists:
  // there is a record of that run_id. InvalidArgument: run_id cannot be part of a file's name.
  absl::Status Append(const RunRecord& record);

  // Append for a run of an older program. With `has_line` its line is there already and stays, and
  // the record gets its file.
  absl::Status Import(const RunRecord& record, bool has_line);

  // Takes the last successful Append back.
  void Undo();

  // Whether another program writes results.jsonl.
  bool first_is_taken() const { return first_is_taken_; }

 private:
  explicit RunFiles(std::string folder) : folder_(std::move(folder)) {}
  absl::Status OpenOwnLines();
  absl::Status WriteRecord(const RunRecord& record);

  const std::string folder_;
  std::unique_ptr<JsonLines> lines_;  // null: nothing is written yet, and the first file is taken
  bool first_is_taken_ = false;
  std::string last_record_;  // path of the last Append's
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_FILES_H_
