#ifndef RINGMASTER_TESTS_WORKER_KERNELS_DEVICE_ARRAY_H_
#define RINGMASTER_TESTS_WORKER_KERNELS_DEVICE_ARRAY_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// An array in a kernel library's place, with guard elements on both sides. It starts `offset`
// elements into its allocation, so that it need not be aligned, as tensors within an arena are not.
// Failures of the library fail the test.
template <typename T>
class DeviceArray {
 public:
  // `kernels` outlives the array.
  DeviceArray(KernelLibrary& kernels, const std::vector<T>& values, int64_t offset = 0)
      : DeviceArray(kernels, values, offset, 0xA5) {}

  // All bits set: NaN as floats, so that an element left out or read shows.
  static DeviceArray Poisoned(KernelLibrary& kernels, int64_t count, int64_t offset = 0) {
    std::vector<T> values(count);
    if (count > 0) std::memset(static_cast<void*>(values.data()), 0xFF, Bytes(count));
    return DeviceArray(kernels, values, offset, 0x5A);
  }

  T* data() const { return reinterpret_cast<T*>(buffer_.data()) + offset_; }
  int64_t count() const { return count_; }

  // The values, once everything called so far is done. Fails the test when a guard element was
  // written.
  std::vector<T> Download() const {
    std::vector<T> all(allocated());
    EXPECT_EQ(kernels_.CopyToHost(buffer_.data(), all.data(), Bytes(allocated())),
              absl::OkStatus());
    EXPECT_EQ(kernels_.Finish(), absl::OkStatus());
    const auto* bytes = reinterpret_cast<const unsigned char*>(all.data());
    for (int64_t i = 0; i < Bytes(allocated()); ++i) {
      if (i >= Bytes(offset_) && i < Bytes(offset_ + count_)) continue;
      EXPECT_EQ(bytes[i], guard_byte_)
          << "a write outside the array, at its byte " << i - Bytes(offset_);
      if (bytes[i] != guard_byte_) break;
    }
    return std::vector<T>(all.begin() + offset_, all.begin() + offset_ + count_);
  }

 private:
  static constexpr int64_t kGuard = 16;
  static int64_t Bytes(int64_t count) { return count * static_cast<int64_t>(sizeof(T)); }
  int64_t allocated() const { return offset_ + count_ + kGuard; }

  // Inputs and outputs have different guards, so that copying the one over the other shows too.
  DeviceArray(KernelLibrary& kernels, const std::vector<T>& values, int64_t offset,
              unsigned char guard_byte)
      : kernels_(kernels),
        offset_(kGuard + offset),
        count_(static_cast<int64_t>(values.size())),
        guard_byte_(guard_byte) {
    absl::StatusOr<Buffer> buffer = kernels.Allocate(Bytes(allocated()));
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    if (!buffer.ok()) return;
    buffer_ = *std::move(buffer);
    std::vector<T> all(allocated());
    std::memset(static_cast<void*>(all.data()), guard_byte_, Bytes(allocated()));
    std::copy(values.begin(), values.end(), all.begin() + offset_);
    Upload(all);
  }

  void Upload(const std::vector<T>& all) {
    EXPECT_EQ(kernels_.CopyFromHost(all.data(), buffer_.data(), Bytes(allocated())),
              absl::OkStatus());
    EXPECT_EQ(kernels_.Finish(), absl::OkStatus());
  }

  KernelLibrary& kernels_;
  const int64_t offset_;
  const int64_t count_;
  const unsigned char guard_byte_;
  Buffer buffer_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_KERNELS_DEVICE_ARRAY_H_
