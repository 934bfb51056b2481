#include "experiments/program/store/store.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/config/load.h"
#include "common/formats/json.h"
#include "common/log/log.h"
#include "experiments/program/store/json.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using google::protobuf::FieldDescriptor;

// "RMST": tells our databases from other programs'.
constexpr int64_t kApplicationId = 0x524D5354;

// Of the tables: a program refuses those of a higher one. A figure more is a column more and needs
// no new version. Stores from before there was a version have 0.
constexpr int64_t kSchemaVersion = 1;

struct Column {
  std::string name;
  std::string type;
};

// A column for every field of RunSummary. A figure without a field is a key of the column
// "figures".
std::vector<Column> SummaryColumns() {
  std::vector<Column> columns;
  const auto& type = *RunSummary::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const bool integer = field.cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                         field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
                         field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    const bool real = field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    columns.push_back({field.name(), field.is_repeated() ? "TEXT"
                                     : integer           ? "INTEGER"
                                     : real              ? "REAL"
                                                         : "TEXT"});
  }
  return columns;
}

std::vector<Column> RunColumns() {
  std::vector<Column> columns = {{"run_id", "TEXT PRIMARY KEY NOT NULL"},
                                 {"started_at", "TEXT"},
                                 {"spec", "TEXT"},
                                 {"record", "BLOB"}};
  const std::vector<Column> summary = SummaryColumns();
  columns.insert(columns.end(), summary.begin(), summary.end());
  return columns;
}

std::string MapJson(const google::protobuf::Map<std::string, double>& map) {
  return Json::SortedObject(map).Dump();
}

SqlValue SummaryValue(const RunSummary& summary, const FieldDescriptor& field) {
  const auto& reflection = *summary.GetReflection();
  if (field.name() == "phase_ms") return MapJson(summary.phase_ms());
  if (field.name() == "seconds_to_accuracy") return MapJson(summary.seconds_to_accuracy());
  if (field.name() == "figures") return MapJson(summary.figures());
  if (field.name() == "nodes") return NodesJson(summary);
  if (field.name() == "tuned") return TunedJson(summary);
  if (field.has_presence() && !reflection.HasField(summary, &field)) return std::monostate();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return int64_t{reflection.GetInt32(summary, &field)};
    case FieldDescriptor::CPPTYPE_INT64:
      return int64_t{reflection.GetInt64(summary, &field)};
    case FieldDescriptor::CPPTYPE_BOOL:
      return int64_t{reflection.GetBool(summary, &field)};
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(summary, &field);
    default:
      return reflection.GetString(summary, &field);
  }
}

SqlRow RunRow(const RunRecord& record) {
  SqlRow row = {record.run_id(), record.started_at(), SerializeRunSpec(record.spec()),
                SqlBlob{record.SerializeAsString()}};
  const auto& type = *RunSummary::descriptor();
  for (int i = 0; i < type.field_count(); ++i)
    row.push_back(SummaryValue(record.summary(), *type.field(i)));
  return row;
}

std::vector<SqlRow> StepRows(const RunRecord& record) {
  std::vector<SqlRow> rows;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      for (int step = 0; step < std::max(worker.step_ms_size(), worker.step_loss_size()); ++step) {
        const auto value = [step](const auto& series) -> SqlValue {
          return step < series.size() ? SqlValue(double{series[step]}) : SqlValue(std::monostate());
        };
        rows.push_back({record.run_id(), int64_t{worker.rank()}, int64_t{step},
                        value(worker.step_ms()), value(worker.step_loss())});
      }
    }
  }
  return rows;
}

absl::Status CheckOurs(Database& database, const std::string& path) {
  // At one moment: another process may be making the tables.
  RM_RETURN_IF_ERROR(database.Execute("BEGIN"));
  const auto tables = database.Query("SELECT count(*) FROM sqlite_master");
  const auto id = database.Query("PRAGMA application_id");
  const auto version = database.Query("PRAGMA user_version");
  RM_RETURN_IF_ERROR(database.Execute("COMMIT"));
  for (const auto* answer : {&tables, &id, &version}) RM_RETURN_IF_ERROR(answer->status());
  if (std::get<int64_t>((*tables)[0][0]) == 0) return absl::OkStatus();
  if (std::get<int64_t>((*id)[0][0]) == kApplicationId) {
    const int64_t found = std::get<int64_t>((*version)[0][0]);
    if (found <= kSchemaVersion) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("database ", path, ": its schema has version ", found,
                     ", this program knows versions up to ", kSchemaVersion,
                     "; it is left as it is, use the newer program that wrote it"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("database ", path, ": holds the tables of another program, expected ",
                   "none or results of ringmaster; name another folder with --out"));
}

absl::Status CreateTables(Database& database) {
  const std::string columns =
      absl::StrJoin(RunColumns(), ", ", [](std::string* out, const Column& column) {
        absl::StrAppend(out, column.name, " ", column.type);
      });
  RM_RETURN_IF_ERROR(
      database.Execute(absl::StrCat("CREATE TABLE IF NOT EXISTS runs(", columns, ")")));
  RM_RETURN_IF_ERROR(database.Execute(
      "CREATE TABLE IF NOT EXISTS steps(run_id TEXT NOT NULL, rank INTEGER NOT NULL, step INTEGER "
      "NOT NULL, step_ms REAL, loss REAL, PRIMARY KEY(run_id, rank, step)) WITHOUT ROWID"));
  // A database of an older program lacks the figures that came later.
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> present,
                      database.Query("SELECT name FROM pragma_table_info('runs')"));
  for (const Column& column : RunColumns()) {
    const auto named = [&](const SqlRow& row) {
      return std::get<std::string>(row[0]) == column.name;
    };
    if (std::any_of(present.begin(), present.end(), named)) continue;
    RM_RETURN_IF_ERROR(database.Execute(
        absl::StrCat("ALTER TABLE runs ADD COLUMN ", column.name, " ", column.type)));
  }
  return database.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                       "; PRAGMA user_version = ", kSchemaVersion));
}

absl::StatusOr<std::vector<RunRecord>> RecordsIn(Database& database, const std::string& path) {
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows,
                      database.Query("SELECT record FROM runs ORDER BY rowid"));
  std::vector<RunRecord> records;
  for (const SqlRow& row : rows) {
    const SqlBlob* blob = std::get_if<SqlBlob>(&row[0]);
    if (blob == nullptr || !records.emplace_back().ParseFromString(blob->bytes)) {
      return absl::DataLossError(
          absl::StrCat(path, ": row ", records.size(), " of runs holds no run record"));
    }
  }
  return records;
}

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

absl::StatusOr<std::vector<SweepRun>> SweepRunsIn(Database& database, const std::string& sweep) {
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows,
                      database.Query("SELECT sweep, cell, trial, status, run_seconds FROM runs "
                                     "WHERE sweep IS NOT NULL ORDER BY rowid"));
  std::vector<SweepRun> runs;
  for (const SqlRow& row : rows) {
    if (std::get<std::string>(row[0]) != sweep) continue;
    const double* seconds = std::get_if<double>(&row[4]);
    runs.push_back({std::get<std::string>(row[1]), static_cast<int32_t>(std::get<int64_t>(row[2])),
                    std::get<std::string>(row[3]), seconds == nullptr ? 0 : *seconds});
  }
  return runs;
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

// What to say of runs of results.jsonl that neither results.sqlite nor a record file has; empty: of
// none.
std::string LostRunsText(const std::string& folder, std::vector<std::string> beyond) {
  constexpr size_t kNamed = 5;
  if (beyond.empty()) return "";
  const size_t count = beyond.size();
  beyond.resize(std::min(count, kNamed));
  return absl::StrCat("store ", folder, ": results.sqlite lacks ", count,
                      " of the runs in results.jsonl (", absl::StrJoin(beyond, ", "),
                      count > kNamed ? ", ..." : "",
                      "): it was copied without its log results.sqlite-wal, or a run was cut off "
                      "while it was added; copy all files results.sqlite* from where they were "
                      "written");
}

std::string FolderOf(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  return folder.empty() ? "." : folder;
}

absl::Status Insert(Database& database, const RunRecord& record) {
  const std::vector<Column> columns = RunColumns();
  const std::string names = absl::StrJoin(
      columns, ", ",
      [](std::string* out, const Column& column) { absl::StrAppend(out, column.name); });
  const std::string marks = absl::StrJoin(std::vector<std::string>(columns.size(), "?"), ", ");
  RM_RETURN_IF_ERROR(database.Run(absl::StrCat("INSERT INTO runs(", names, ") VALUES(", marks, ")"),
                                  {RunRow(record)}));
  return database.Run("INSERT INTO steps(run_id, rank, step, step_ms, loss) VALUES(?, ?, ?, ?, ?)",
                      StepRows(record));
}

// Adds the runs that stand in the files and not in the database, and warns of those that are lost.
absl::Status CatchUp(Database& database, const std::string& folder) {
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows, database.Query("SELECT run_id FROM runs"));
  std::set<std::string> stored;
  for (const SqlRow& row : rows) stored.insert(std::get<std::string>(row[0]));
  std::vector<RunRecord> found;
  const std::string lost =
      LostRunsText(folder, ReadBeyond(ListRuns(folder), std::move(stored), &found));
  if (!lost.empty()) Log(LogLevel::kWarning, lost);
  for (const RunRecord& record : found) RM_RETURN_IF_ERROR(Insert(database, record));
  return absl::OkStatus();
}

absl::Status Prepare(Database& database, const std::string& path) {
  RM_RETURN_IF_ERROR(CheckOurs(database, path));
  RM_RETURN_IF_ERROR(database.UseWriteAheadLog());
  RM_RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  absl::Status created = CreateTables(database);
  // While nobody else can add a run.
  if (created.ok()) created = CatchUp(database, FolderOf(path));
  if (created.ok()) return database.Execute("COMMIT");
  database.Execute("ROLLBACK").IgnoreError();
  return created;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error || !std::filesystem::is_directory(dir, error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "results folder ", dir, ": cannot be created (",
        error ? ErrorText(error.value()) : "it is a file", "); name another one with --out"));
  }
  const std::string path = dir + "/results.sqlite";
  RM_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  RM_RETURN_IF_ERROR(Prepare(*database, path));
  RM_ASSIGN_OR_RETURN(std::unique_ptr<RunFiles> files, RunFiles::Open(dir));
  return std::unique_ptr<Store>(new Store(dir, std::move(database), std::move(files)));
}

absl::Status Store::AppendInTransaction(const RunRecord& record) {
  RM_RETURN_IF_ERROR(Insert(*database_, record));
  RM_RETURN_IF_ERROR(files_->Append(record));
  const absl::Status committed = database_->Execute("COMMIT");
  if (!committed.ok()) files_->Undo();
  return committed;
}

absl::Status Store::Append(const RunRecord& record) {
  RM_RETURN_IF_ERROR(database_->Execute("BEGIN IMMEDIATE"));
  const absl::Status status = AppendInTransaction(record);
  // Some errors have rolled back already; then this has nothing left to do.
  if (!status.ok()) database_->Execute("ROLLBACK").IgnoreError();
  return Annotate(status, absl::StrCat("run ", record.run_id(), " of arm \"", record.spec().name(),
                                       "\" is not stored"));
}

absl::StatusOr<std::vector<SweepRun>> Store::SweepRuns(const std::string& sweep) {
  return SweepRunsIn(*database_, sweep);
}

absl::StatusOr<std::vector<RunRecord>> Store::Records() {
  return RecordsIn(*database_, "results.sqlite");
}

absl::StatusOr<std::vector<RunRecord>> Store::ReadRecords(const std::string& path) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  const std::string file = is_folder ? path + "/results.sqlite" : path;
  if (!std::filesystem::is_regular_file(file, error)) {
    return absl::NotFoundError(
        absl::StrCat("store ", path, ": ",
                     is_folder ? "the folder holds no results.sqlite" : "there is no such folder",
                     "; expected the folder that a run, comparison or sweep wrote (--out)"));
  }
  std::vector<RunRecord> records;
  std::vector<ListedRun> listed;
  RM_RETURN_IF_ERROR(ReadUnchanged(file, [&](Database& database) -> absl::Status {
    listed = ListRuns(FolderOf(file));  // first: a run is added to it before it is committed
    RM_ASSIGN_OR_RETURN(records, RecordsIn(database, file));
    return absl::OkStatus();
  }));
  // A copy under another name is nobody's twin.
  if (std::filesystem::path(file).filename() != "results.sqlite") return records;
  std::set<std::string> stored = IdsOf(records);
  const std::string lost =
      LostRunsText(FolderOf(file), ReadBeyond(listed, std::move(stored), &records));
  if (!lost.empty() && records.empty()) return absl::InvalidArgumentError(lost);
  if (!lost.empty()) Log(LogLevel::kWarning, lost);
  return records;
}

absl::StatusOr<std::vector<SweepRun>> Store::ReadSweepRuns(const std::string& dir,
                                                           const std::string& sweep) {
  const std::string file = dir + "/results.sqlite";
  std::error_code error;
  std::vector<SweepRun> runs;
  if (!std::filesystem::exists(file, error)) return runs;
  RM_RETURN_IF_ERROR(ReadUnchanged(file, [&](Database& database) -> absl::Status {
    // A store from before there were sweeps is not changed here.
    RM_ASSIGN_OR_RETURN(
        const std::vector<SqlRow> columns,
        database.Query("SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'sweep'"));
    if (std::get<int64_t>(columns[0][0]) == 0) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(runs, SweepRunsIn(database, sweep));
    return absl::OkStatus();
  }));
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
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<RunFiles> files, RunFiles::Open(dir));
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
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> database, Database::Open(fresh));
    RM_RETURN_IF_ERROR(database->Execute("BEGIN IMMEDIATE"));
    RM_RETURN_IF_ERROR(CreateTables(*database));
    for (const RunRecord& record : records) RM_RETURN_IF_ERROR(Insert(*database, record));
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
