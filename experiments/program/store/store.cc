#include "experiments/program/store/store.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/log/log.h"
#include "common/machine/file_system.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

// Opens `file`, checks that it is ours and sound, and lets `read` have it; a store that was made
// and never written to has nothing to read.
absl::Status ReadOnce(const std::string& file, absl::FunctionRef<absl::Status(Database&)> read) {
  RM_ASSIGN_OR_RETURN(const auto database, Database::OpenForReading(file));
  RM_RETURN_IF_ERROR(CheckOurs(*database, file));
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> tables,
                      database->Query("SELECT count(*) FROM sqlite_master"));
  if (std::get<int64_t>(tables[0][0]) == 0) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> check, database->Query("PRAGMA quick_check(1)"));
  const std::string* verdict = check.empty() ? nullptr : std::get_if<std::string>(&check[0][0]);
  if (verdict == nullptr || *verdict != "ok") {
    return absl::InvalidArgumentError(absl::StrCat(
        "database ", file, ": is damaged (", verdict == nullptr ? "no answer" : *verdict,
        "); it is left as it is, `ringmaster store rebuild` makes "
        "it anew from the other files of its folder"));
  }
  return read(*database);
}

// When a file was last written, and how long it is: what another program's writing changes.
std::pair<std::filesystem::file_time_type, uintmax_t> StateOf(const std::string& file) {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(file, error);
  const uintmax_t size = std::filesystem::file_size(file, error);
  return {time, error ? 0 : size};
}

// ReadOnce, again where another program wrote meanwhile, of which a reader without locks learns
// nothing else. `read` may be called several times.
absl::Status ReadUnchanged(const std::string& file,
                           absl::FunctionRef<absl::Status(Database&)> read) {
  constexpr int kTries = 3;
  const std::string log = file + "-wal";
  for (int i = 0; i < kTries; ++i) {
    const auto before = std::make_pair(StateOf(file), StateOf(log));
    const absl::Status status = ReadOnce(file, read);
    if (std::make_pair(StateOf(file), StateOf(log)) == before) return status;
  }
  return absl::UnavailableError(
      absl::StrCat("store ", file, ": another program writes to it without a pause; try again"));
}

std::set<std::string> IdsOf(const std::vector<RunRecord>& records) {
  std::set<std::string> ids;
  for (const RunRecord& record : records) ids.insert(record.run_id());
  return ids;
}

// The runs of `listed` that the database lacks, which has `stored`. Adds to `found` those whose
// record file can be read, and returns the others: of older programs, which wrote no such file, or
// damaged.
std::vector<std::string> ReadBeyond(const std::vector<ListedRun>& listed,
                                    std::set<std::string> stored, std::vector<RunRecord>* found) {
  std::vector<std::string> lost;
  for (const ListedRun& run : listed) {
    if (!stored.insert(run.run_id).second) continue;
    absl::StatusOr<RunRecord> record = absl::NotFoundError("no record file");
    if (!run.record_file.empty()) record = ReadRecordFile(run);
    if (record.ok()) {
      found->push_back(*std::move(record));
    } else {
      lost.push_back(run.run_id);
    }
  }
  return lost;
}

// What to say of runs of results.jsonl that neither the index nor a record file has; empty: of
// none.
std::string LostRunsText(const std::string& folder, bool has_index, std::vector<std::string> lost) {
  constexpr size_t kNamed = 5;
  if (lost.empty()) return "";
  const size_t count = lost.size();
  lost.resize(std::min(count, kNamed));
  const std::string named = absl::StrCat(" of the runs in results.jsonl (",
                                         absl::StrJoin(lost, ", "), count > kNamed ? ", ..." : "");
  if (!has_index) {
    return absl::StrCat("store ", folder, ": there are no record files of ", count, named,
                        "): copy all of records/, and results.sqlite where there is one, from "
                        "where they were written");
  }
  return absl::StrCat("store ", folder, ": results.sqlite lacks ", count, named,
                      "): it was copied without its log results.sqlite-wal, or a run was cut off "
                      "while it was added; copy all files results.sqlite* from where they were "
                      "written");
}

std::string FolderOf(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  return folder.empty() ? "." : folder;
}

// An index, and how it is filled.
struct IndexToFill {
  Database& database;
  std::string folder;
  bool is_kept;  // in a file
};

// Adds the runs of `listed` that the index lacks, and warns of those that are lost. REQUIRES:
// nobody else can add one meanwhile.
absl::Status CatchUp(const IndexToFill& index, const std::vector<ListedRun>& listed) {
  RM_ASSIGN_OR_RETURN(std::set<std::string> stored, RunIdsIn(index.database));
  std::vector<RunRecord> found;
  const std::string lost =
      LostRunsText(index.folder, index.is_kept, ReadBeyond(listed, std::move(stored), &found));
  if (!lost.empty()) Log(LogLevel::kWarning, lost);
  const Steps steps = index.is_kept ? Steps::kKept : Steps::kLeftOut;
  for (const RunRecord& record : found)
    RM_RETURN_IF_ERROR(InsertRun(index.database, record, steps));
  return absl::OkStatus();
}

// Does `change` as one transaction, alone.
absl::Status Alone(Database& database, absl::FunctionRef<absl::Status()> change) {
  RM_RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  const absl::Status changed = change();
  if (changed.ok()) return database.Execute("COMMIT");
  // Some errors have rolled back already; then this has nothing left to do.
  database.Execute("ROLLBACK").IgnoreError();
  return changed;
}

absl::Status Prepare(Database& database, const std::string& path, LineFollower* lines) {
  RM_RETURN_IF_ERROR(CheckOurs(database, path));
  RM_RETURN_IF_ERROR(database.UseWriteAheadLog());
  return Alone(database, [&]() -> absl::Status {
    RM_RETURN_IF_ERROR(CreateTables(database));
    return CatchUp({database, FolderOf(path), true}, lines->ReadNew());
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& dir, StoreIndex index) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error || !std::filesystem::is_directory(dir, error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "results folder ", dir, ": cannot be created (",
        error ? ErrorText(error.value()) : "it is a file", "); name another one with --out"));
  }
  const std::string network = NetworkFileSystemAt(dir);
  if (!network.empty()) {
    Log(LogLevel::kInfo,
        absl::StrCat("store ", dir, ": on ", network,
                     " no results.sqlite is kept, whose locks cannot be trusted there; the other "
                     "files have everything, and `ringmaster store rebuild` makes one"));
  }
  if (index == StoreIndex::kNone || !network.empty()) return OpenWithoutIndex(dir);
  const std::string path = dir + "/results.sqlite";
  RM_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  auto lines = std::make_unique<LineFollower>(dir);
  RM_RETURN_IF_ERROR(Prepare(*database, path, lines.get()));
  RM_ASSIGN_OR_RETURN(std::unique_ptr<RunFiles> files, RunFiles::Open(dir));
  return std::unique_ptr<Store>(
      new Store(dir, {std::move(database), std::move(files), std::move(lines), true}));
}

absl::StatusOr<std::unique_ptr<Store>> Store::OpenWithoutIndex(const std::string& dir) {
  RM_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(":memory:"));
  RM_RETURN_IF_ERROR(CreateTables(*database));
  const std::string old = dir + "/results.sqlite";
  std::error_code error;
  if (std::filesystem::exists(old, error)) {
    std::vector<RunRecord> records;
    RM_RETURN_IF_ERROR(ReadUnchanged(old, [&](Database& index) -> absl::Status {
      RM_ASSIGN_OR_RETURN(records, RecordsIn(index, old));
      return absl::OkStatus();
    }));
    for (const RunRecord& record : records)
      RM_RETURN_IF_ERROR(InsertRun(*database, record, Steps::kLeftOut));
  }
  RM_ASSIGN_OR_RETURN(std::unique_ptr<RunFiles> files, RunFiles::OpenOwn(dir));
  std::unique_ptr<Store> store(new Store(
      dir, {std::move(database), std::move(files), std::make_unique<LineFollower>(dir), false}));
  RM_RETURN_IF_ERROR(store->Follow());
  return store;
}

std::string Store::FilesText() const {
  if (!parts_.is_kept) return folder_ + "/results*.jsonl";
  return absl::StrCat(folder_, "/results.jsonl, ", folder_, "/results.sqlite");
}

absl::Status Store::Follow() {
  const std::vector<ListedRun> listed = parts_.lines->ReadNew();
  if (listed.empty()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const std::set<std::string> known, RunIdsIn(*parts_.index));
  const auto is_known = [&](const ListedRun& run) { return known.count(run.run_id) > 0; };
  if (std::all_of(listed.begin(), listed.end(), is_known)) return absl::OkStatus();
  return Alone(*parts_.index, [&] {
    return CatchUp({*parts_.index, folder_, parts_.is_kept}, listed);
  });
}

absl::Status Store::AppendInTransaction(const RunRecord& record,
                                        absl::FunctionRef<bool()> is_wanted) {
  RM_RETURN_IF_ERROR(
      InsertRun(*parts_.index, record, parts_.is_kept ? Steps::kKept : Steps::kLeftOut));
  RM_RETURN_IF_ERROR(parts_.files->Append(record, is_wanted));
  const absl::Status committed = parts_.index->Execute("COMMIT");
  if (!committed.ok()) parts_.files->Undo();
  return committed;
}

absl::Status Store::AppendIf(const RunRecord& record, absl::FunctionRef<bool()> is_wanted) {
  RM_RETURN_IF_ERROR(parts_.index->Execute("BEGIN IMMEDIATE"));
  const absl::Status status = AppendInTransaction(record, is_wanted);
  // Some errors have rolled back already; then this has nothing left to do.
  if (!status.ok()) parts_.index->Execute("ROLLBACK").IgnoreError();
  return Annotate(status, absl::StrCat("run ", record.run_id(), " of arm \"", record.spec().name(),
                                       "\" is not stored"));
}

absl::StatusOr<std::vector<SweepRun>> Store::SweepRuns(const std::string& sweep) {
  RM_RETURN_IF_ERROR(Follow());
  return SweepRunsIn(*parts_.index, sweep);
}

absl::StatusOr<std::vector<RunRecord>> Store::Records() {
  RM_RETURN_IF_ERROR(Follow());
  return RecordsIn(*parts_.index, "results.sqlite");
}

absl::StatusOr<std::vector<RunRecord>> Store::ReadRecords(const std::string& path) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  const std::string file = is_folder ? path + "/results.sqlite" : path;
  const bool has_index = std::filesystem::is_regular_file(file, error);
  if (!has_index && (!is_folder || LineFiles(path).empty())) {
    return absl::NotFoundError(
        absl::StrCat("store ", path, ": ",
                     is_folder ? "the folder holds neither results.sqlite nor results.jsonl"
                               : "there is no such folder",
                     "; expected the folder that a run, comparison or sweep wrote (--out)"));
  }
  std::vector<RunRecord> records;
  std::vector<ListedRun> listed;
  const auto read = [&](Database& database) -> absl::Status {
    listed = ListRuns(FolderOf(file));  // first: a run is added to it before it is committed
    RM_ASSIGN_OR_RETURN(records, RecordsIn(database, file));
    return absl::OkStatus();
  };
  if (has_index) {
    RM_RETURN_IF_ERROR(ReadUnchanged(file, read));
  } else {
    listed = ListRuns(path);
  }
  // A copy under another name is nobody's twin.
  if (std::filesystem::path(file).filename() != "results.sqlite") return records;
  std::set<std::string> stored = IdsOf(records);
  const std::string lost =
      LostRunsText(FolderOf(file), has_index, ReadBeyond(listed, std::move(stored), &records));
  if (!lost.empty() && records.empty()) return absl::InvalidArgumentError(lost);
  if (!lost.empty()) Log(LogLevel::kWarning, lost);
  return records;
}

absl::StatusOr<std::vector<SweepRun>> Store::ReadSweepRuns(const std::string& dir,
                                                           const std::string& sweep) {
  const std::string file = dir + "/results.sqlite";
  std::error_code error;
  std::vector<SweepRun> runs;
  std::set<std::string> ids;
  const auto read = [&](Database& database) -> absl::Status {
    // A store from before there were sweeps is not changed here.
    RM_ASSIGN_OR_RETURN(
        const std::vector<SqlRow> columns,
        database.Query("SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'sweep'"));
    RM_ASSIGN_OR_RETURN(ids, RunIdsIn(database));
    if (std::get<int64_t>(columns[0][0]) == 0) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(runs, SweepRunsIn(database, sweep));
    return absl::OkStatus();
  };
  if (std::filesystem::exists(file, error)) RM_RETURN_IF_ERROR(ReadUnchanged(file, read));
  std::vector<RunRecord> beyond;
  ReadBeyond(ListRuns(dir), std::move(ids), &beyond);
  for (const RunRecord& record : beyond) {
    if (record.sweep().sweep() == sweep) runs.push_back(SweepRunOf(record));
  }
  return runs;
}

absl::StatusOr<RebuiltStore> Store::Rebuild(const std::string& dir) {
  const std::string file = dir + "/results.sqlite";
  std::error_code error;
  if (!std::filesystem::exists(file, error) && ListRuns(dir).empty()) {
    return absl::NotFoundError(
        absl::StrCat("store ", dir,
                     ": holds neither results.sqlite nor results.jsonl; expected the folder that "
                     "a run, comparison or sweep wrote (--out)"));
  }
  RebuiltStore rebuilt;
  const bool has_locks = NetworkFileSystemAt(dir).empty();
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<RunFiles> files,
                      has_locks ? RunFiles::Open(dir) : RunFiles::OpenOwn(dir));
  if (files->first_is_taken()) {
    return absl::UnavailableError(absl::StrCat(
        "store ", dir, ": another program is writing to it; try again when it has ended"));
  }
  // Runs that only the old database has, as programs did that wrote no record files.
  std::vector<RunRecord> old;
  if (std::filesystem::exists(file, error)) {
    const absl::Status read = ReadUnchanged(file, [&](Database& database) -> absl::Status {
      RM_ASSIGN_OR_RETURN(old, RecordsIn(database, file));
      return absl::OkStatus();
    });
    if (absl::IsUnavailable(read)) return read;
    rebuilt.old_database = read;
  }
  std::set<std::string> with_line, with_file;
  for (const ListedRun& run : ListRuns(dir)) {
    with_line.insert(run.run_id);
    if (!run.record_file.empty()) with_file.insert(run.run_id);
  }
  for (const RunRecord& record : old) {
    if (with_file.count(record.run_id()) > 0) continue;
    RM_RETURN_IF_ERROR(files->Import(record, with_line.count(record.run_id()) > 0));
    ++rebuilt.imported;
  }
  std::vector<RunRecord> records;
  rebuilt.lost = ReadBeyond(ListRuns(dir), {}, &records);
  const std::string fresh = file + ".rebuilding";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(fresh + suffix, error);
  {
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> database,
                        Database::Open(fresh, Database::Locks::kNone));
    RM_RETURN_IF_ERROR(database->Execute("BEGIN IMMEDIATE"));
    RM_RETURN_IF_ERROR(CreateTables(*database));
    for (const RunRecord& record : records)
      RM_RETURN_IF_ERROR(InsertRun(*database, record, Steps::kKept));
    RM_RETURN_IF_ERROR(database->Execute("COMMIT"));
  }
  // The old log belongs to the old database alone.
  for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(file + suffix, error);
  std::filesystem::rename(fresh, file, error);
  if (error) return SystemError(error.value(), absl::StrCat("database ", file));
  rebuilt.runs = records.size();
  return rebuilt;
}

}  // namespace ringmaster
