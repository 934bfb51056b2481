#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_MEMORY_FILE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_MEMORY_FILE_H_

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/system_error.h"

namespace ringmaster {

// What another process of this machine's user can read while this object lives.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& text)
      : descriptor_(memfd_create("ringmaster-spec", MFD_CLOEXEC)) {
    const auto size = static_cast<ssize_t>(text.size());
    if (descriptor_ < 0 || write(descriptor_, text.data(), text.size()) != size) error_ = errno;
  }
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  absl::Status status() const {
    return error_ == 0 ? absl::OkStatus()
                       : SystemError(error_, "cannot make a file with the run's spec in memory");
  }
  std::string path() const { return absl::StrCat("/proc/", getpid(), "/fd/", descriptor_); }

 private:
  const int descriptor_;
  int error_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_MEMORY_FILE_H_
