#ifndef RINGMASTER_COMMON_BASE_ELEMENT_TYPE_H_
#define RINGMASTER_COMMON_BASE_ELEMENT_TYPE_H_

#include <cstdint>

namespace ringmaster {

// What a message that is summed on its way consists of.
enum class ElementType { kFloat32, kFloat16, kBfloat16 };
constexpr int64_t ElementBytes(ElementType type) { return type == ElementType::kFloat32 ? 4 : 2; }

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_ELEMENT_TYPE_H_
