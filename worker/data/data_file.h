#ifndef RINGMASTER_WORKER_DATA_DATA_FILE_H_
#define RINGMASTER_WORKER_DATA_DATA_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct gzFile_s;  // zlib's

namespace ringmaster {

// What to do about a file that is not there, and about one that is there and cannot be used: the
// end of every message.
struct DataRemedy {
  const char* missing;
  const char* damaged;
};

// What every reader of data files says of a file it cannot use: InvalidArgument
// "data file PATH: found ..., expected ...; REMEDY".
absl::Status DamagedDataFile(absl::string_view path, absl::string_view found,
                             absl::string_view expected, absl::string_view remedy);

// Bytes of the regular file at `path`. NotFound: there is none. InvalidArgument: it cannot be
// looked at, or is no regular file (a folder, a pipe, a device), which is found without opening it:
// to open a pipe would wait for its writer. Both name the file and end with the remedy.
absl::StatusOr<int64_t> DataFileSize(const std::string& path, const DataRemedy& remedy);

// A data file that is read once, from its beginning; what is compressed by gzip (RFC 1952, one
// member) comes uncompressed. No more memory than what is asked for, whatever a stream would expand
// to. Errors are InvalidArgument, name the file and end with the remedy. One thread at a time.
class DataFile {
 public:
  // Opens the regular file at `path`. Errors: those of DataFileSize; a file whose name ends in
  // ".gz" and that is no gzip stream, and the reverse.
  static absl::StatusOr<DataFile> Open(const std::string& path, const DataRemedy& remedy);

  // Whether the content's bytes are `expected`, without reading them: from the file's size, or from
  // what a gzip stream says at its end (which is modulo 2^32; that the whole stream is as long,
  // ExpectEnd finds). `what` stands behind the expected number, e.g. " for 12 samples".
  absl::Status ExpectSize(unsigned __int128 expected, absl::string_view what) const;

  // The next `bytes` bytes. InvalidArgument: there are fewer, or the stream is damaged.
  absl::StatusOr<std::vector<unsigned char>> Read(int64_t bytes);

  // Passes over the next `bytes` bytes, and then expects the end, and of a gzip stream that its
  // checksum is right.
  absl::Status ExpectEnd(int64_t bytes = 0);

 private:
  struct CloseFile {
    void operator()(gzFile_s* file) const;
  };

  DataFile(const std::string& path, const char* remedy, int64_t size)
      : path_(path), remedy_(remedy), size_(size) {}
  // Reads into `to`; returns the bytes that came. With what is said about why there are no more in
  // `reason`.
  int64_t ReadSome(unsigned char* to, int64_t bytes, std::string* reason);

  std::string path_;
  std::string remedy_;  // of a damaged file
  int64_t size_ = 0;    // of the file
  bool compressed_ = false;
  uint32_t stream_size_ = 0;  // of a gzip stream's content, modulo 2^32, as its last four bytes say
  int64_t position_ = 0;      // bytes read so far
  std::unique_ptr<gzFile_s, CloseFile> file_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_DATA_FILE_H_
