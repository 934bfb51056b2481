#include "experiments/program/store/json_lines.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<JsonLines>> JsonLines::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return absl::InvalidArgumentError(absl::StrCat("results file ", path, ": cannot be written (",
                                                   ErrorText(errno),
                                                   "); name another folder with --out"));
  }
  return std::unique_ptr<JsonLines>(new JsonLines(path, file));
}

JsonLines::~JsonLines() { close(file_); }

bool JsonLines::Lock() {
  while (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    // A file system without locks has writers of one machine only where users see to it.
    if (errno != EINTR) return errno != EWOULDBLOCK;
  }
  return true;
}

absl::StatusOr<int64_t> JsonLines::Size() const {
  struct stat info;
  if (fstat(file_, &info) == 0) return int64_t{info.st_size};
  return absl::UnavailableError(absl::StrCat("results file ", path_, ": ", ErrorText(errno)));
}

absl::Status JsonLines::WriteAll(const std::string& bytes) const {
  // One write, so that a reader of the growing file sees whole lines; the loop only goes on where
  // the system took less.
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = write(file_, bytes.data() + done, bytes.size() - done);
    if (wrote > 0) {
      done += static_cast<size_t>(wrote);
    } else if (wrote == 0 || errno != EINTR) {
      return absl::UnavailableError(
          absl::StrCat("results file ", path_, ": ",
                       wrote == 0 ? std::string("nothing written") : ErrorText(errno)));
    }
  }
  if (fsync(file_) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("results file ", path_, ": ", ErrorText(errno)));
}

absl::Status JsonLines::Append(const std::string& line) {
  RM_CHECK(line.find('\n') == std::string::npos);
  size_before_ = -1;
  RM_ASSIGN_OR_RETURN(const int64_t size, Size());
  char last = '\n';
  const bool torn = size > 0 && pread(file_, &last, 1, size - 1) == 1 && last != '\n';
  size_before_ = size;
  const absl::Status status = WriteAll(absl::StrCat(torn ? "\n" : "", line, "\n"));
  if (!status.ok()) Undo();
  return status;
}

void JsonLines::Undo() {
  if (size_before_ < 0) return;
  // Making a file shorter needs no space; should it fail all the same, a torn line stays, which
  // Append closes.
  if (ftruncate(file_, size_before_) == 0) fsync(file_);
  size_before_ = -1;
}

}  // namespace ringmaster
