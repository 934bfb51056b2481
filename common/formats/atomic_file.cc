#include "common/formats/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

absl::Status SystemError(int error, const std::string& doing, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat(doing, " ", path));
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
    return absl::InvalidArgumentError(absl::StrCat("cannot write \"", path, "\": it is a folder; expected a file"));
  }
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  const int descriptor = mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat("cannot write ", path, ": there is no folder ", FolderOf(path),
                                              "; make it, or choose another"));
    }
    return SystemError(error, "cannot write", path);
  }
  // What mkostemp makes is the owner's alone; a result is for whoever the user's mask lets read.
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor, 0666 & ~mask);
  std::FILE* file = fdopen(descriptor, "wb");
  if (file == nullptr) {
    const int error = errno;
    close(descriptor);
    unlink(temporary.c_str());
    return SystemError(error, "cannot write", path);
  }
  return std::unique_ptr<AtomicFile>(new AtomicFile(path, std::move(temporary), file));
}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  unlink(temporary_.c_str());
}

absl::Status AtomicFile::Write(const void* bytes, size_t size) {
  if (size == 0 || std::fwrite(bytes, 1, size, file_) == size) return absl::OkStatus();
  return SystemError(errno, "cannot write", path_);
}

absl::Status AtomicFile::Commit() {
  if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) return SystemError(errno, "cannot write", path_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return SystemError(errno, "cannot write", path_);
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

absl::Status CheckFileCanBeWritten(const std::string& path) { return AtomicFile::Create(path).status(); }

absl::Status CheckFolderCanBeWritten(const std::string& folder) {
  if (!IsFolder(folder)) {
    return absl::NotFoundError(absl::StrCat("there is no folder ", folder, "; make it, or choose another"));
  }
  return AtomicFile::Create(absl::StrCat(folder, "/writable")).status();
}

}  // namespace ringmaster
