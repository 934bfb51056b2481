#ifndef RINGMASTER_COMMON_TENSOR_TENSOR_H_
#define RINGMASTER_COMMON_TENSOR_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ringmaster {

enum class Place { kHost, kHostPinned, kDevice };

// Owns a block of memory. Move-only. The memory is not initialized.
class Buffer {
 public:
  using Release = std::function<void(std::byte*)>;

  Buffer() = default;
  // Takes over `data`, which `release` frees. Libraries with memory of their own (CUDA) make
  // buffers this way.
  Buffer(std::byte* data, int64_t size_bytes, Place place, Release release);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  // Host memory aligned to 64 bytes; `size_bytes` of 0 is allowed. ResourceExhausted when there is
  // none.
  static absl::StatusOr<Buffer> AllocateHost(int64_t size_bytes);

  std::byte* data() const { return data_; }
  int64_t size_bytes() const { return size_bytes_; }
  Place place() const { return place_; }

  // The memory as floats: size_bytes / 4 of them.
  float* floats() const { return reinterpret_cast<float*>(data_); }
  absl::Span<float> float_span() const { return {floats(), static_cast<size_t>(size_bytes_ / 4)}; }

 private:
  std::byte* data_ = nullptr;
  int64_t size_bytes_ = 0;
  Place place_ = Place::kHost;
  Release release_;
};

// Where buffers of a certain kind come from, Buffer::AllocateHost for one.
using BufferAllocator = std::function<absl::StatusOr<Buffer>(int64_t size_bytes)>;

// Borrows a row-major matrix of floats; never owns. Vectors have rows = 1.
struct TensorView {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  Place place = Place::kHost;
  int64_t count() const { return rows * cols; }
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TENSOR_TENSOR_H_
