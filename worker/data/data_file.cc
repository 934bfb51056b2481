#include "worker/data/data_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::string CannotBeOpened(absl::string_view path, int error, absl::string_view remedy) {
  return absl::StrCat("data file ", path, ": cannot be opened (", std::strerror(error), "); ", remedy);
}

}  // namespace

absl::Status DamagedDataFile(absl::string_view path, absl::string_view found, absl::string_view expected,
                             absl::string_view remedy) {
  return absl::InvalidArgumentError(
      absl::StrCat("data file ", path, ": found ", found, ", expected ", expected, "; ", remedy));
}

absl::StatusOr<int64_t> DataFileSize(const std::string& path, absl::string_view remedy) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    const int error = errno;
    const std::string text = CannotBeOpened(path, error, remedy);
    return error == ENOENT ? absl::NotFoundError(text) : absl::InvalidArgumentError(text);
  }
  if (!S_ISREG(info.st_mode)) {
    return DamagedDataFile(path, S_ISDIR(info.st_mode) ? "a folder" : "a pipe or a device", "a regular file", remedy);
  }
  return int64_t{info.st_size};
}

absl::StatusOr<std::vector<unsigned char>> ReadDataFile(const std::string& path, int64_t begin, int64_t bytes,
                                                        absl::string_view remedy) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return absl::InvalidArgumentError(CannotBeOpened(path, errno, remedy));
  std::vector<unsigned char> content(static_cast<size_t>(bytes));
  size_t got = 0;
  if (fseeko(file.get(), begin, SEEK_SET) == 0) got = std::fread(content.data(), 1, content.size(), file.get());
  if (got == content.size()) return content;
  return DamagedDataFile(path, absl::StrCat("only ", got, " bytes from byte ", begin, " on"),
                         absl::StrCat(bytes, " readable bytes"), remedy);
}

}  // namespace ringmaster
