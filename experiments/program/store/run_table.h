#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_TABLE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_TABLE_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/store/database.h"

namespace ringmaster {

class RunRecord;

// A run that a sweep has asked for and that is in the store.
struct SweepRun {
  std::string cell;
  int32_t trial = 0;
  std::string status;    // "ok" or "CODE: message"
  double seconds = 0;    // wall clock
  bool stopped = false;  // RunRecord.stopped
};

// The tables of a store's index:
//   runs   run_id, started_at, spec: textproto, record: RunRecord as bytes, and a column for every
//          field of RunSummary
//   steps  run_id, rank, step, step_ms, loss
// Errors of all functions: the database's.

// InvalidArgument: the database at `path` holds another program's tables, or a newer program's.
absl::Status CheckOurs(Database& database, const std::string& path);

// Makes the tables where they are missing, and the columns that came later.
absl::Status CreateTables(Database& database);

enum class Steps { kKept, kLeftOut };

// Adds one run. AlreadyExists: its run_id is there.
absl::Status InsertRun(Database& database, const RunRecord& record, Steps steps);

// All runs, in the order in which they were added. DataLoss, with `path`: one cannot be read.
absl::StatusOr<std::vector<RunRecord>> RecordsIn(Database& database, const std::string& path);

absl::StatusOr<std::set<std::string>> RunIdsIn(Database& database);

// The runs of one sweep, in the order in which they were added.
absl::StatusOr<std::vector<SweepRun>> SweepRunsIn(Database& database, const std::string& sweep);

// What SweepRunsIn says of a run. Pure.
SweepRun SweepRunOf(const RunRecord& record);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_RUN_TABLE_H_
