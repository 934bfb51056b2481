#ifndef RINGMASTER_COMMON_VECMATH_ELEMENT_BYTES_H_
#define RINGMASTER_COMMON_VECMATH_ELEMENT_BYTES_H_

#include <cstddef>

#include "absl/types/span.h"
#include "common/base/element_type.h"

namespace ringmaster {

// The memory of floats.
inline absl::Span<std::byte> BytesOf(absl::Span<float> floats) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(floats.data()), floats.size() * sizeof(float));
}
inline absl::Span<const std::byte> BytesOf(absl::Span<const float> floats) {
  return {reinterpret_cast<const std::byte*>(floats.data()), floats.size() * sizeof(float)};
}

// Sums of what messages consist of, as bytes that are whole elements of `type`, aligned for them.
// Both spans are of one size, and of different memory. Pure, thread-safe.

// to += from
void AddBytes(ElementType type, absl::Span<const std::byte> from, absl::Span<std::byte> to);

// one = other = one + other
void AddBytesToBoth(ElementType type, absl::Span<std::byte> one, absl::Span<std::byte> other);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_VECMATH_ELEMENT_BYTES_H_
