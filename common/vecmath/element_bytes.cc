#include "common/vecmath/element_bytes.h"

#include <cstdint>

#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

template <typename T>
absl::Span<T> As(absl::Span<std::byte> bytes) {
  return absl::MakeSpan(reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T));
}
template <typename T>
absl::Span<const T> As(absl::Span<const std::byte> bytes) {
  return absl::MakeConstSpan(reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T));
}

}  // namespace

void AddBytes(ElementType type, absl::Span<const std::byte> from, absl::Span<std::byte> to) {
  switch (type) {
    case ElementType::kFloat32:
      return Add(As<float>(from), As<float>(to));
    case ElementType::kFloat16:
      return AddFloat16(As<uint16_t>(from), As<uint16_t>(to));
    case ElementType::kBfloat16:
      return AddBfloat16(As<uint16_t>(from), As<uint16_t>(to));
  }
}

void AddBytesToBoth(ElementType type, absl::Span<std::byte> one, absl::Span<std::byte> other) {
  switch (type) {
    case ElementType::kFloat32:
      return AddToBoth(As<float>(one), As<float>(other));
    case ElementType::kFloat16:
      return AddFloat16ToBoth(As<uint16_t>(one), As<uint16_t>(other));
    case ElementType::kBfloat16:
      return AddBfloat16ToBoth(As<uint16_t>(one), As<uint16_t>(other));
  }
}

}  // namespace ringmaster
