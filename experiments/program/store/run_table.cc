#include "experiments/program/store/run_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/config/load.h"
#include "common/formats/json.h"
#include "experiments/program/store/json.h"
#include "experiments/program/store/run_files.h"
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
                SqlBlob{RecordBytes(record)}};
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

absl::StatusOr<RunRecord> RecordOf(const SqlValue& value, const std::string& what) {
  RunRecord record;
  const SqlBlob* blob = std::get_if<SqlBlob>(&value);
  if (blob != nullptr && record.ParseFromString(blob->bytes)) return record;
  return absl::DataLossError(absl::StrCat(what, " holds no run record"));
}

}  // namespace

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

absl::Status InsertRun(Database& database, const RunRecord& record, Steps steps) {
  const std::vector<Column> columns = RunColumns();
  const std::string names = absl::StrJoin(
      columns, ", ",
      [](std::string* out, const Column& column) { absl::StrAppend(out, column.name); });
  const std::string marks = absl::StrJoin(std::vector<std::string>(columns.size(), "?"), ", ");
  RM_RETURN_IF_ERROR(database.Run(absl::StrCat("INSERT INTO runs(", names, ") VALUES(", marks, ")"),
                                  {RunRow(record)}));
  if (steps == Steps::kLeftOut) return absl::OkStatus();
  return database.Run("INSERT INTO steps(run_id, rank, step, step_ms, loss) VALUES(?, ?, ?, ?, ?)",
                      StepRows(record));
}

absl::StatusOr<std::vector<RunRecord>> RecordsIn(Database& database, const std::string& path) {
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows,
                      database.Query("SELECT record FROM runs ORDER BY rowid"));
  std::vector<RunRecord> records;
  for (const SqlRow& row : rows) {
    RM_ASSIGN_OR_RETURN(
        records.emplace_back(),
        RecordOf(row[0], absl::StrCat(path, ": row ", records.size() + 1, " of runs")));
  }
  return records;
}

absl::StatusOr<std::set<std::string>> RunIdsIn(Database& database) {
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows, database.Query("SELECT run_id FROM runs"));
  std::set<std::string> ids;
  for (const SqlRow& row : rows) ids.insert(std::get<std::string>(row[0]));
  return ids;
}

absl::StatusOr<std::vector<SweepRun>> SweepRunsIn(Database& database, const std::string& sweep) {
  // What the columns do not say is looked up for the few runs that it matters for.
  RM_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows,
                      database.Query("SELECT sweep, cell, trial, status, run_seconds, CASE WHEN "
                                     "status = 'ok' THEN NULL ELSE record END FROM runs WHERE "
                                     "sweep IS NOT NULL ORDER BY rowid"));
  std::vector<SweepRun> runs;
  for (const SqlRow& row : rows) {
    if (std::get<std::string>(row[0]) != sweep) continue;
    const double* seconds = std::get_if<double>(&row[4]);
    SweepRun& run = runs.emplace_back();
    run.cell = std::get<std::string>(row[1]);
    run.trial = static_cast<int32_t>(std::get<int64_t>(row[2]));
    run.status = std::get<std::string>(row[3]);
    run.seconds = seconds == nullptr ? 0 : *seconds;
    if (run.status == "ok") continue;
    RM_ASSIGN_OR_RETURN(const RunRecord record,
                        RecordOf(row[5], absl::StrCat("a run of sweep ", sweep)));
    run.stopped = record.stopped();
  }
  return runs;
}

SweepRun SweepRunOf(const RunRecord& record) {
  return {record.sweep().cell(), record.sweep().trial(), record.status(),
          record.summary().run_seconds(), record.stopped()};
}

}  // namespace ringmaster
