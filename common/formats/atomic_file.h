#ifndef RINGMASTER_COMMON_FORMATS_ATOMIC_FILE_H_
#define RINGMASTER_COMMON_FORMATS_ATOMIC_FILE_H_

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// A file that appears under its name only when it is complete: bytes go to a temporary file beside
// it, which Commit puts in its place. What stood there before stays until then, and stays for good
// when the writer is destroyed without Commit. One thread at a time.
class AtomicFile {
 public:
  // PermissionDenied, NotFound, ...: the file cannot be made, with the system's reason.
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Appends `size` bytes; buffered, allocates nothing.
  absl::Status Write(const void* bytes, size_t size);

  // Flushes to the disk and renames. Nothing may be written afterwards.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, std::FILE* file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(file) {}

  const std::string path_;
  const std::string temporary_;
  std::FILE* file_;  // null once committed
};

// A file at `path` that holds `text`, whole or not at all. Errors as AtomicFile's.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view text);

// Removes the temporary files of everything that is not committed, for a process that ends now:
// whoever makes, commits or destroys one afterwards waits for ever. Any thread.
void RemoveIncompleteFiles();

// Whether a file could be written at `path` right now: its folder exists and takes new files, and
// no folder has its name. Leaves nothing behind. Called before a run starts, so that hours of
// training are not lost to a typing error.
absl::Status CheckFileCanBeWritten(const std::string& path);

// The same for files in `folder`, which must exist.
absl::Status CheckFolderCanBeWritten(const std::string& folder);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_FORMATS_ATOMIC_FILE_H_
