#include "common/tensor/tensor.h"

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"

namespace ringmaster {

Buffer::Buffer(std::byte* data, int64_t size_bytes, Place place, Release release)
    : data_(data), size_bytes_(size_bytes), place_(place), release_(std::move(release)) {}

Buffer::~Buffer() {
  if (data_ != nullptr && release_) release_(data_);
}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(place_, other.place_);
  std::swap(release_, other.release_);
  return *this;
}

absl::StatusOr<Buffer> Buffer::AllocateHost(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  constexpr int64_t kAlignment = 64;
  const int64_t padded = CeilDiv(size_bytes > 0 ? size_bytes : 1, kAlignment) * kAlignment;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, padded));
  if (data == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a buffer of ", size_bytes, " bytes"));
  }
  return Buffer(data, size_bytes, Place::kHost, [](std::byte* memory) { std::free(memory); });
}

}  // namespace ringmaster
