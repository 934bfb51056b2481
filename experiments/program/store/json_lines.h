#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_LINES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_LINES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringmaster {

// A file to which whole lines are appended. One thread at a time; other writers are
// kept out by Lock.
class JsonLines {
 public:
  // Opens `path` for appending, creating it where it is missing; what is there stays.
  // InvalidArgument: cannot be written.
  static absl::StatusOr<std::unique_ptr<JsonLines>> Open(const std::string& path);
  ~JsonLines();

  // Makes this program the file's only writer until it is destroyed: false where another program,
  // or another JsonLines, is it already.
  bool Lock();

  // Appends `line` (without a newline) and waits until it is on the disk. A torn last line, left by
  // a machine that lost its power, is closed first. Unavailable: it could not be written, and the
  // file is as long as before.
  absl::Status Append(const std::string& line);

  // Takes the last successful Append back.
  void Undo();

 private:
  JsonLines(std::string path, int file) : path_(std::move(path)), file_(file) {}
  absl::StatusOr<int64_t> Size() const;
  absl::Status WriteAll(const std::string& bytes) const;

  const std::string path_;
  const int file_;
  int64_t size_before_ = -1;  // the last Append; -1: none
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_LINES_H_
