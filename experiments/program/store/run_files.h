#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_FILES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_FILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
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

// The names of all files of lines in `folder`: results.jsonl first, then the others by name.
// Thread-safe.
std::vector<std::string> LineFiles(const std::string& folder);

// The value of the text `key` of a line; empty: it has none. Pure.
std::string TextIn(const std::string& line, const std::string& key);

// The bytes of a record: equal records have equal bytes, in every process. Pure.
std::string RecordBytes(const RunRecord& record);

// The line of a run that has a record file, without its end. Pure.
std::string LineOf(const RunRecord& record);

// Whether a file can have that name: letters, digits, '-', '_' and '.', the last not at the front.
bool CanBeFileName(const std::string& run_id);

// The path of a run's record file. REQUIRES: CanBeFileName(run_id).
std::string RecordPath(const std::string& folder, const std::string& run_id);

// Reads all files of lines in a folder as they grow. One thread at a time.
class LineFollower {
 public:
  explicit LineFollower(std::string folder) : folder_(std::move(folder)) {}

  // The runs whose lines have been ended since the last call, by their dates. A last line without
  // its end is being written, and is left for later.
  std::vector<ListedRun> ReadNew();

 private:
  const std::string folder_;
  std::map<std::string, int64_t> read_bytes_;  // by the file's name
};

// The runs in all files of lines of `folder`, by their dates; none where there is no such file.
// Thread-safe.
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

  // For a folder in which locks cannot be trusted: takes none, and leaves the choice of a name to
  // the first Append.
  static absl::StatusOr<std::unique_ptr<RunFiles>> OpenOwn(const std::string& folder);

  // Writes the record's file and line, onto the disk. On an error neither is there. `is_wanted` is
  // asked right before the line is written. Aborted: it said no. AlreadyExists: there is a record
  // of that run_id. InvalidArgument: run_id cannot be part of a file's name.
  absl::Status Append(const RunRecord& record, absl::FunctionRef<bool()> is_wanted);

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
  bool takes_locks_ = true;
  bool first_is_taken_ = false;
  std::string last_record_;  // path of the last Append's
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_FILES_H_
