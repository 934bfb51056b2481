#ifndef RINGMASTER_TESTS_FUZZ_SCRATCH_FILE_H_
#define RINGMASTER_TESTS_FUZZ_SCRATCH_FILE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace ringmaster {

// A folder of this process for parsers that take paths. Removed with the object. One thread.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  // Puts the bytes into the file of that name. Returns its path.
  std::string Write(absl::string_view name, absl::string_view bytes) const;
  // What the file of that name holds.
  std::string Read(absl::string_view name) const;

 private:
  std::string path_;
};

// The one of the process.
const ScratchFolder& Scratch();

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_FUZZ_SCRATCH_FILE_H_
