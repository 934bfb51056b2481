#ifndef RINGMASTER_WORKER_DATA_DATA_FILE_H_
#define RINGMASTER_WORKER_DATA_DATA_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// What every reader of data files says of a file it cannot use: InvalidArgument "data file PATH: found ..., expected
// ...; REMEDY".
absl::Status DamagedDataFile(absl::string_view path, absl::string_view found, absl::string_view expected,
                             absl::string_view remedy);

// Bytes of the regular file at `path`. NotFound: there is none. InvalidArgument: it cannot be looked at, or is no
// regular file (a folder, a pipe, a device), which is found without opening it: to open a pipe would wait for its
// writer. Both name the file and end with `remedy`.
absl::StatusOr<int64_t> DataFileSize(const std::string& path, absl::string_view remedy);

// The `bytes` bytes from `begin` on of the regular file at `path`. InvalidArgument: it cannot be opened, or has fewer.
absl::StatusOr<std::vector<unsigned char>> ReadDataFile(const std::string& path, int64_t begin, int64_t bytes,
                                                        absl::string_view remedy);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_DATA_FILE_H_
