#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_SHARED_FILE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_SHARED_FILE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/fd.h"

namespace ringmaster {

// Memory that a launcher shares with the processes of a run on its machine: an anonymous file that
// they open by its path. It outlives a process that is killed. Move-only; any thread.
class SharedFile {
 public:
  // The launcher's side: `size` bytes, all zero. `what` stands in errors and, without blanks, in
  // the file's name. The system's errors.
  static absl::StatusOr<SharedFile> Create(absl::string_view what, int64_t size);
  // A process's side: the whole file. The system's errors; InvalidArgument: it has fewer than
  // `least` bytes, so it is another file.
  static absl::StatusOr<SharedFile> Open(absl::string_view what, const std::string& path,
                                         int64_t least);

  SharedFile(SharedFile&& other) noexcept
      : file_(std::move(other.file_)),
        path_(std::move(other.path_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(other.size_) {}
  SharedFile& operator=(SharedFile&&) = delete;
  ~SharedFile();

  void* data() const { return data_; }  // aligned to a page
  int64_t size() const { return size_; }
  // Where processes of this user open it, while the launcher's object lives.
  const std::string& path() const { return path_; }

 private:
  SharedFile() = default;
  absl::Status Map(absl::string_view what, int file);

  Fd file_;  // of the launcher's side
  std::string path_;
  void* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_SHARED_FILE_H_
