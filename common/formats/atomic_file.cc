#include "common/formats/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

absl::Status CannotWrite(int error, const std::string& path) {
  return SystemError(error, absl::StrCat("cannot write ", path));
}

// The temporary names of this process's files that are not complete: a signal must not leave them
// behind. Files come and go on any thread.
class Incomplete {
 public:
  void Add(const std::string& path) {
    absl::MutexLock lock(&mutex_);
    paths_.insert(path);
  }
  void Forget(const std::string& path) {
    absl::MutexLock lock(&mutex_);
    paths_.erase(path);
  }
  // No file comes after this: the mutex stays locked, which the analysis would call a mistake.
  void RemoveForGood() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mutex_.Lock();
    for (const std::string& path : paths_) unlink(path.c_str());
  }

 private:
  absl::Mutex mutex_;
  std::set<std::string> paths_ ABSL_GUARDED_BY(mutex_);
};

Incomplete& IncompleteFiles() {
  static auto* const files = new Incomplete();
  return *files;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsFolder(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  if (path.empty() || path.back() == '/' || IsFolder(path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write \"", path, "\": it is a folder; expected a file"));
  }
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  const int descriptor = mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat("cannot write ", path, ": there is no folder ",
                                              FolderOf(path), "; make it, or choose another"));
    }
    return CannotWrite(error, path);
  }
  IncompleteFiles().Add(temporary);
  // What mkostemp makes is the owner's alone; a result is for whoever the user's mask lets read.
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor, 0666 & ~mask);
  std::FILE* file = fdopen(descriptor, "wb");
  if (file == nullptr) {
    const int error = errno;
    close(descriptor);
    unlink(temporary.c_str());
    IncompleteFiles().Forget(temporary);
    return CannotWrite(error, path);
  }
  return std::unique_ptr<AtomicFile>(new AtomicFile(path, std::move(temporary), file));
}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  unlink(temporary_.c_str());
  IncompleteFiles().Forget(temporary_);
}

absl::Status AtomicFile::Write(const void* bytes, size_t size) {
  if (size == 0 || std::fwrite(bytes, 1, size, file_) == size) return absl::OkStatus();
  return CannotWrite(errno, path_);
}

absl::Status AtomicFile::Commit() {
  if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) return CannotWrite(errno, path_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return CannotWrite(errno, path_);
  IncompleteFiles().Forget(temporary_);
  std::fclose(file_);
  file_ = nullptr;
  // The new name is on the disk once its folder is.
  const int folder = open(FolderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view text) {
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  RM_RETURN_IF_ERROR(file->Write(text.data(), text.size()));
  return file->Commit();
}

void RemoveIncompleteFiles() { IncompleteFiles().RemoveForGood(); }

absl::Status CheckFileCanBeWritten(const std::string& path) {
  return AtomicFile::Create(path).status();
}

absl::Status CheckFolderCanBeWritten(const std::string& folder) {
  if (!IsFolder(folder)) {
    return absl::NotFoundError(
        absl::StrCat("there is no folder ", folder, "; make it, or choose another"));
  }
  return AtomicFile::Create(absl::StrCat(folder, "/writable")).status();
}

}  // namespace ringmaster
