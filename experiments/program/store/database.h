#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_DATABASE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ringmaster {

struct SqlBlob {
  std::string bytes;
};

// NULL, INTEGER, REAL, TEXT, BLOB.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string, SqlBlob>;
using SqlRow = std::vector<SqlValue>;

// One SQLite database, closed with its owner. Errors carry the path and SQLite's own words:
// InvalidArgument for a file that is none, AlreadyExists for a broken constraint, Unavailable for
// the rest (a full disk, another process's lock). One thread at a time; several processes may have
// the same file open.
class Database {
 public:
  // kNone: for a file that nobody else knows of, on file systems without locks too.
  enum class Locks { kTaken, kNone };

  // Opens `path`, creating an empty database where there is none; a file that is no database is
  // left untouched. ":memory:" is a new database that is no file. Waits up to five seconds for
  // other processes' locks, here and in every later call.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        Locks locks = Locks::kTaken);

  // Opens the database at `path` to read it: the file stays as it is, and where no other process
  // has it open, nothing is created beside it either. A log beside it is read too, also where
  // nothing can be written: then without locks, so that the caller looks whether the files changed
  // meanwhile. NotFound: there is none.
  static absl::StatusOr<std::unique_ptr<Database>> OpenForReading(const std::string& path);
  ~Database();

  // Keeps a log beside the file from now on, so that reading and writing go on at once. Waits as
  // all calls do.
  absl::Status UseWriteAheadLog();

  // Runs one or more statements without parameters.
  absl::Status Execute(const std::string& sql);

  // Runs one statement once for each row, whose values take the places of its question marks.
  absl::Status Run(const std::string& sql, const std::vector<SqlRow>& rows);

  // All rows of one query.
  absl::StatusOr<std::vector<SqlRow>> Query(const std::string& sql);

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

  // What it is opened as: SQLite's URI, and whether this process alone has it (no locks, no shared
  // memory).
  static absl::StatusOr<std::unique_ptr<Database>> OpenUri(const std::string& path,
                                                           const std::string& uri, bool alone);

  Database(std::string path, sqlite3* handle, bool writes)
      : path_(std::move(path)), handle_(handle), writes_(writes) {}
  absl::Status Error(int code, absl::string_view tried) const;
  absl::StatusOr<Statement> Prepare(const std::string& sql);

  const std::string path_;
  sqlite3* const handle_;
  const bool writes_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_DATABASE_H_
