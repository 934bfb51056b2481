#include "experiments/program/run/attempts/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {

absl::StatusOr<SharedFile> SharedFile::Create(absl::string_view what, int64_t size) {
  SharedFile shared;
  const std::string name = absl::StrCat("ringmaster-", absl::StrReplaceAll(what, {{" ", "-"}}));
  shared.file_ = Fd(memfd_create(name.c_str(), MFD_CLOEXEC));
  if (!shared.file_.valid() || ftruncate(shared.file_.get(), size) != 0) {
    return SystemError(errno,
                       absl::StrCat(what, ": cannot make an anonymous file of ", size, " bytes"));
  }
  shared.size_ = size;
  shared.path_ = absl::StrCat("/proc/", getpid(), "/fd/", shared.file_.get());
  RM_RETURN_IF_ERROR(shared.Map(what, shared.file_.get()));
  return shared;
}

absl::StatusOr<SharedFile> SharedFile::Open(absl::string_view what, const std::string& path,
                                            int64_t least) {
  const Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file.valid()) return SystemError(errno, absl::StrCat(what, ": cannot open ", path));
  struct stat found;
  if (fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode) || found.st_size < least)
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", path, " is none of their files"));
  SharedFile shared;
  shared.size_ = found.st_size;
  RM_RETURN_IF_ERROR(shared.Map(what, file.get()));
  return shared;
}

absl::Status SharedFile::Map(absl::string_view what, int file) {
  void* const memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED)
    return SystemError(errno, absl::StrCat(what, ": cannot map ", size_, " bytes"));
  data_ = memory;
  return absl::OkStatus();
}

SharedFile::~SharedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace ringmaster
