#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_STORE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/store/database.h"
#include "experiments/program/store/run_files.h"
#include "experiments/program/store/run_table.h"

namespace ringmaster {

class RunRecord;

// Whether a store's index is kept beside its files. On a network file system none is, whatever is
// asked for: SQLite's locks cannot be trusted there.
enum class StoreIndex { kKept, kNone };

// What Rebuild has done.
struct RebuiltStore {
  size_t runs = 0;                // in the new database
  size_t imported = 0;            // of them, those that only the old database had
  std::vector<std::string> lost;  // ids of runs that have a line and no record anywhere
  absl::Status old_database;  // why nothing could be imported from it; Ok: it was sound, or absent
};

// The results of all runs in one folder, only ever added to. What is true stands in its files of
// lines and records (experiments/program/store/run_files.h). Beside them lies an index:
//   results.sqlite  runs(run_id, started_at, spec: textproto, record: RunRecord as bytes, and a
//                   column for every field of RunSummary), steps(run_id, rank, step, step_ms, loss)
// A run that has files and no row, as where the index is a copy of yesterday, is read all the same.
// Where no index is kept it is in this program's memory, and what others add is read from their
// files. One thread at a time; several processes may add to the same folder.
class Store {
 public:
  // Opens the folder `dir`, creating it and the files where they are missing. InvalidArgument: it
  // cannot be written, or results.sqlite is something else or of a newer program, and is then
  // untouched. Unavailable: disk errors, another process's lock.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& dir,
                                                     StoreIndex index = StoreIndex::kKept);

  // As Open was given it.
  const std::string& folder() const { return folder_; }
  bool has_index() const { return parts_.is_kept; }
  // Where the runs are: "out/results.jsonl, out/results.sqlite".
  std::string FilesText() const;

  // Adds one run, whose summary is filled and whose run_id is new, to files and index or, on any
  // error, to neither: what was there stays. AlreadyExists: the run_id is there. Unavailable: disk
  // errors, another process's lock. On return it is on the disk.
  absl::Status Append(const RunRecord& record) {
    return AppendIf(record, [] { return true; });
  }

  // The same; `is_wanted` is asked at the last moment. Aborted: it said no, and nothing is added.
  absl::Status AppendIf(const RunRecord& record, absl::FunctionRef<bool()> is_wanted);

  // What is known of a sweep's runs, in the order in which they were added; cheap, however long the
  // runs were.
  absl::StatusOr<std::vector<SweepRun>> SweepRuns(const std::string& sweep);

  // All runs in the order in which they were added.
  absl::StatusOr<std::vector<RunRecord>> Records();

  // The same of the store at `path`, its folder or its results.sqlite, which stays as it is:
  // nothing is created or changed. Runs of results.jsonl that have neither a row nor a record file
  // are told in a warning (results.sqlite was copied without its log), or where no run can be read
  // in the error. NotFound:
  // there is no store; InvalidArgument: it is another program's, damaged, or of a newer program.
  static absl::StatusOr<std::vector<RunRecord>> ReadRecords(const std::string& path);

  // SweepRuns of the store in the folder `dir`, which stays as it is; none where there is no store.
  // Errors as ReadRecords'.
  static absl::StatusOr<std::vector<SweepRun>> ReadSweepRuns(const std::string& dir,
                                                             const std::string& sweep);

  // Makes the index of the store in the folder `dir` anew from its files, whatever is there now.
  // Runs that only the old index has, of a program that wrote no record files, get their files
  // first. NotFound: there is no store. Unavailable: another program writes to it; disk errors. On
  // an error the old index stays.
  static absl::StatusOr<RebuiltStore> Rebuild(const std::string& dir);

 private:
  struct Parts {
    std::unique_ptr<Database> index;
    std::unique_ptr<RunFiles> files;
    std::unique_ptr<LineFollower> lines;
    bool is_kept;  // the index, in a file
  };

  Store(std::string folder, Parts parts) : folder_(std::move(folder)), parts_(std::move(parts)) {}
  static absl::StatusOr<std::unique_ptr<Store>> OpenWithoutIndex(const std::string& dir);
  absl::Status AppendInTransaction(const RunRecord& record, absl::FunctionRef<bool()> is_wanted);
  // Adds to the index what the files have beyond it: of programs that keep none.
  absl::Status Follow();

  const std::string folder_;
  const Parts parts_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_STORE_H_
