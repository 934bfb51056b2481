#ifndef RINGMASTER_COMMON_FORMATS_NPY_H_
#define RINGMASTER_COMMON_FORMATS_NPY_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/formats/atomic_file.h"

namespace ringmaster {

// NumPy's .npy files, version 1.0, little-endian, C order. Source: numpy.lib.format.

enum class NpyType { kInt32, kInt64, kFloat32 };

int64_t BytesOf(NpyType type);

// Writes an array whose shape is known beforehand, piece by piece; the file appears under its name
// with Finish, and not at all without. One thread at a time.
class NpyWriter {
 public:
  // Errors: those of AtomicFile::Create.
  static absl::StatusOr<std::unique_ptr<NpyWriter>> Create(const std::string& path, NpyType type,
                                                           const std::vector<int64_t>& shape);

  // The next elements in C order, of the writer's type. Allocates nothing. InvalidArgument: more
  // than the shape holds.
  absl::Status Append(absl::Span<const int32_t> values) {
    return Append(NpyType::kInt32, values.data(), values.size());
  }
  absl::Status Append(absl::Span<const int64_t> values) {
    return Append(NpyType::kInt64, values.data(), values.size());
  }
  absl::Status Append(absl::Span<const float> values) {
    return Append(NpyType::kFloat32, values.data(), values.size());
  }

  // InvalidArgument: fewer elements than the shape holds.
  absl::Status Finish();

 private:
  NpyWriter(NpyType type, int64_t count, std::unique_ptr<AtomicFile> file)
      : type_(type), left_(count), file_(std::move(file)) {}

  absl::Status Append(NpyType type, const void* values, size_t count);

  const NpyType type_;
  int64_t left_;  // elements still to come
  std::unique_ptr<AtomicFile> file_;
};

// An array as it lies in a file.
struct NpyArray {
  NpyType type = NpyType::kFloat32;
  std::vector<int64_t> shape;
  std::string bytes;

  // The elements; T is the array's type.
  template <typename T>
  std::vector<T> values() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
};

// Reads what NpyWriter wrote. InvalidArgument: another version, type or order, or a file of another
// length than its header says.
absl::StatusOr<NpyArray> ReadNpy(const std::string& path);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_FORMATS_NPY_H_
