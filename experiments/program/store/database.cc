#include "experiments/program/store/database.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

constexpr int kLockWaitMs = 5000;
constexpr int kLockLookMs = 10;

struct Bind {
  sqlite3_stmt* statement;
  int index;  // from 1

  int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
  int operator()(int64_t value) const { return sqlite3_bind_int64(statement, index, value); }
  int operator()(double value) const { return sqlite3_bind_double(statement, index, value); }
  int operator()(const std::string& text) const {
    return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  }
  int operator()(const SqlBlob& blob) const {
    return sqlite3_bind_blob64(statement, index, blob.bytes.data(), blob.bytes.size(),
                               SQLITE_STATIC);
  }
};

std::string ColumnBytes(sqlite3_stmt* statement, int column) {
  const void* data = sqlite3_column_blob(statement, column);
  const int size = sqlite3_column_bytes(statement, column);
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

SqlValue ColumnValue(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT:
      return ColumnBytes(statement, column);
    case SQLITE_BLOB:
      return SqlBlob{ColumnBytes(statement, column)};
    default:
      return std::monostate();
  }
}

}  // namespace

void Database::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Locks locks) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const char* const system = locks == Locks::kNone ? "unix-none" : nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, system);
  std::unique_ptr<Database> database(new Database(path, handle, true));
  if (code != SQLITE_OK) return database->Error(code, "open");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kLockWaitMs);
  // Opening reads nothing yet; this does, before anything is written.
  RM_RETURN_IF_ERROR(database->Query("SELECT count(*) FROM sqlite_master").status());
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenUri(const std::string& path,
                                                            const std::string& uri, bool alone) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(uri.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle, false));
  if (code != SQLITE_OK) return database->Error(code, "open");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kLockWaitMs);
  if (alone) {
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    RM_RETURN_IF_ERROR(database->Execute("PRAGMA locking_mode = EXCLUSIVE"));
  }
  RM_RETURN_IF_ERROR(database->Query("SELECT count(*) FROM sqlite_master").status());
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenForReading(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    return absl::NotFoundError(absl::StrCat("no file ", path));
  // With a log beside it somebody writes, or was killed: SQLite then reads both. Without, it is
  // told that nobody does, or it would create the log's files.
  const auto log_size = std::filesystem::file_size(path + "-wal", error);
  const bool has_log = !error && log_size > 0;
  const std::string uri =
      absl::StrCat("file:", absl::StrReplaceAll(path, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}}));
  if (!has_log) return OpenUri(path, uri + "?immutable=1", false);
  auto database = OpenUri(path, uri, false);
  if (database.ok() || !absl::IsInvalidArgument(database.status())) return database;
  // To read a log SQLite writes an index of it beside the file, which cannot be done here (another
  // user's folder, a read-only medium). Who has the file alone keeps the index in memory.
  auto alone = OpenUri(path, uri + "?vfs=unix-none", true);
  if (alone.ok() || access(absl::StrCat(path, "-wal").c_str(), R_OK) == 0) return alone;
  return absl::InvalidArgumentError(absl::StrCat("database ", path, ": its log ", path,
                                                 "-wal cannot be read (", std::strerror(errno),
                                                 "), so runs would be missing; make it readable"));
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Error(int code, absl::string_view tried) const {
  const char* why = handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_);
  // Of a statement its beginning tells enough: "INSERT INTO runs".
  const std::string doing =
      absl::StrCat("database ", path_, ": ", tried.substr(0, tried.find('(')), ": ");
  const std::string text = absl::StrCat(doing, why);
  // SQLite says "disk I/O error" of a limit, and keeps the errno of a failed write only now and
  // then.
  int system = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_);
  const bool grows =
      code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_TRUNCATE || code == SQLITE_IOERR_SHMSIZE;
  rlimit limit{};
  const bool sized = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  if (grows && sized && !IsLimit(system)) system = EFBIG;
  const int kind = code & 0xff;
  if (kind == SQLITE_FULL && !IsLimit(system)) system = ENOSPC;
  const bool limited =
      IsLimit(system) && (kind == SQLITE_IOERR || kind == SQLITE_FULL || kind == SQLITE_CANTOPEN);
  if (limited) return absl::UnavailableError(absl::StrCat(text, ": ", ErrorText(system)));
  switch (kind) {
    case SQLITE_IOERR:
      return absl::UnavailableError(system == 0 ? text
                                                : absl::StrCat(text, " (", ErrorText(system), ")"));
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return absl::InvalidArgumentError(absl::StrCat(
          text, "; it is left as it is", writes_ ? ", name another folder with --out" : ""));
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::InvalidArgumentError(absl::StrCat(
          text, system == 0 ? "" : absl::StrCat(" (", ErrorText(system), ")"),
          writes_ ? "; expected a folder in which files can be written, name one with --out"
                  : "; expected a file that can be read"));
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(
          absl::StrCat(text, " by another process for over ", kLockWaitMs / 1000, " s"));
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status Database::UseWriteAheadLog() {
  constexpr char kSql[] = "PRAGMA journal_mode = WAL";
  // For the lock that this takes SQLite does not wait by itself: two that make one database at once
  // would turn each other away.
  for (int waited_ms = 0;; waited_ms += kLockLookMs) {
    const int code = sqlite3_exec(handle_, kSql, nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return absl::OkStatus();
    if ((code & 0xff) != SQLITE_BUSY || waited_ms >= kLockWaitMs) return Error(code, kSql);
    sqlite3_sleep(kLockLookMs);
  }
}

absl::Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, sql);
}

absl::StatusOr<Database::Statement> Database::Prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return Error(code, sql);
  return Statement(statement);
}

absl::Status Database::Run(const std::string& sql, const std::vector<SqlRow>& rows) {
  RM_ASSIGN_OR_RETURN(const Statement statement, Prepare(sql));
  for (const SqlRow& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const int code = std::visit(Bind{statement.get(), static_cast<int>(i) + 1}, row[i]);
      if (code != SQLITE_OK) return Error(code, sql);
    }
    const int code = sqlite3_step(statement.get());
    if (code != SQLITE_DONE) return Error(code, sql);
    sqlite3_reset(statement.get());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SqlRow>> Database::Query(const std::string& sql) {
  RM_ASSIGN_OR_RETURN(const Statement statement, Prepare(sql));
  std::vector<SqlRow> rows;
  int code = sqlite3_step(statement.get());
  for (; code == SQLITE_ROW; code = sqlite3_step(statement.get())) {
    SqlRow row;
    for (int i = 0; i < sqlite3_column_count(statement.get()); ++i)
      row.push_back(ColumnValue(statement.get(), i));
    rows.push_back(std::move(row));
  }
  if (code != SQLITE_DONE) return Error(code, sql);
  return rows;
}

}  // namespace ringmaster
