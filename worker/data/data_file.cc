#include "worker/data/data_file.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

// A deflate stream holds at most 1032 bytes a byte, and a gzip file has 18 bytes around it.
constexpr int64_t kMostExpansion = 1032;
constexpr int64_t kReadAtOnce = int64_t{1} << 20;

std::string CannotBeOpened(absl::string_view path, int error, const DataRemedy& remedy) {
  return absl::StrCat("data file ", path, ": cannot be opened (", ErrorText(error), "); ",
                      error == ENOENT ? remedy.missing : remedy.damaged);
}

// The last four bytes of a gzip file: its content's size modulo 2^32.
absl::StatusOr<uint32_t> StreamSize(const std::string& path, const DataRemedy& remedy) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return absl::InvalidArgumentError(CannotBeOpened(path, errno, remedy));
  unsigned char bytes[4] = {};
  const bool read = std::fseek(file, -4, SEEK_END) == 0 && std::fread(bytes, 1, 4, file) == 4;
  std::fclose(file);
  if (!read)
    return DamagedDataFile(path, "no end of a gzip stream", "a whole gzip file", remedy.damaged);
  return uint32_t{bytes[3]} << 24 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[1]} << 8 |
         uint32_t{bytes[0]};
}

}  // namespace

absl::Status DamagedDataFile(absl::string_view path, absl::string_view found,
                             absl::string_view expected, absl::string_view remedy) {
  return absl::InvalidArgumentError(
      absl::StrCat("data file ", path, ": found ", found, ", expected ", expected, "; ", remedy));
}

absl::StatusOr<int64_t> DataFileSize(const std::string& path, const DataRemedy& remedy) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    const int error = errno;
    const std::string text = CannotBeOpened(path, error, remedy);
    return error == ENOENT ? absl::NotFoundError(text) : absl::InvalidArgumentError(text);
  }
  if (!S_ISREG(info.st_mode)) {
    return DamagedDataFile(path, S_ISDIR(info.st_mode) ? "a folder" : "a pipe or a device",
                           "a regular file", remedy.damaged);
  }
  return int64_t{info.st_size};
}

void DataFile::CloseFile::operator()(gzFile_s* file) const { gzclose_r(file); }

absl::StatusOr<DataFile> DataFile::Open(const std::string& path, const DataRemedy& remedy) {
  RM_ASSIGN_OR_RETURN(const int64_t size, DataFileSize(path, remedy));
  DataFile data(path, remedy.damaged, size);
  data.file_.reset(gzopen(path.c_str(), "rb"));
  if (data.file_ == nullptr) return absl::InvalidArgumentError(CannotBeOpened(path, errno, remedy));
  gzbuffer(data.file_.get(), 1 << 17);
  data.compressed_ = gzdirect(data.file_.get()) == 0;
  if (data.compressed_ != absl::EndsWith(path, ".gz")) {
    return DamagedDataFile(
        path, data.compressed_ ? "a gzip file" : "a file that is no gzip stream",
        data.compressed_ ? "an uncompressed one; rename it to end in .gz" : "one", remedy.damaged);
  }
  if (!data.compressed_) return data;
  RM_ASSIGN_OR_RETURN(data.stream_size_, StreamSize(path, remedy));
  return data;
}

absl::Status DataFile::ExpectSize(unsigned __int128 expected, absl::string_view what) const {
  // Larger than any file; as much of it as can be written.
  const uint64_t shown = static_cast<uint64_t>(std::min<unsigned __int128>(expected, UINT64_MAX));
  const std::string wanted = absl::StrCat(shown, " bytes", what);
  if (compressed_) {
    if (static_cast<uint32_t>(expected) == stream_size_ &&
        expected <= static_cast<unsigned __int128>(size_) * kMostExpansion) {
      return absl::OkStatus();
    }
    return DamagedDataFile(path_,
                           absl::StrCat(size_, " bytes of gzip whose end announces ", stream_size_,
                                        " bytes uncompressed (truncated or damaged)"),
                           wanted, remedy_);
  }
  const unsigned __int128 found = static_cast<unsigned __int128>(size_);
  if (found == expected) return absl::OkStatus();
  return DamagedDataFile(
      path_, absl::StrCat(size_, " bytes (", found < expected ? "truncated" : "oversized", ")"),
      wanted, remedy_);
}

int64_t DataFile::ReadSome(unsigned char* to, int64_t bytes, std::string* reason) {
  int64_t done = 0;
  while (done < bytes) {
    const int got =
        gzread(file_.get(), to + done, static_cast<unsigned>(std::min(bytes - done, kReadAtOnce)));
    if (got <= 0) break;
    done += got;
  }
  position_ += done;
  if (done < bytes) {
    int code = Z_OK;
    const char* text = gzerror(file_.get(), &code);
    // zlib begins with the path, which the caller names anyway.
    *reason = std::string(absl::StripPrefix(text, absl::StrCat(path_, ": ")));
    if (code == Z_OK) *reason = "end of file";
    if (code == Z_ERRNO) *reason = ErrorText(errno);
  }
  return done;
}

absl::StatusOr<std::vector<unsigned char>> DataFile::Read(int64_t bytes) {
  const int64_t begin = position_;
  std::vector<unsigned char> content(static_cast<size_t>(bytes));
  std::string reason;
  const int64_t got = ReadSome(content.data(), bytes, &reason);
  if (got == bytes) return content;
  return DamagedDataFile(
      path_, absl::StrCat("only ", got, " bytes from byte ", begin, " on (", reason, ")"),
      absl::StrCat(bytes, " readable bytes"), remedy_);
}

absl::Status DataFile::ExpectEnd(int64_t bytes) {
  std::vector<unsigned char> passed(static_cast<size_t>(std::min(bytes, kReadAtOnce)));
  std::string reason;
  for (int64_t left = bytes; left > 0;) {
    const int64_t wanted = std::min(left, kReadAtOnce);
    const int64_t got = ReadSome(passed.data(), wanted, &reason);
    left -= got;
    if (got == wanted) continue;
    return DamagedDataFile(path_, absl::StrCat(position_, " readable bytes (", reason, ")"),
                           absl::StrCat(position_ + left), remedy_);
  }
  unsigned char more = 0;
  const int64_t end = position_;
  if (ReadSome(&more, 1, &reason) > 0) {
    return DamagedDataFile(path_, absl::StrCat("more than ", end, " bytes"),
                           "no more, as its header says", remedy_);
  }
  int code = Z_OK;
  gzerror(file_.get(), &code);
  if (code == Z_OK) return absl::OkStatus();
  return DamagedDataFile(path_, absl::StrCat("a damaged end (", reason, ")"), "a right checksum",
                         remedy_);
}

}  // namespace ringmaster
