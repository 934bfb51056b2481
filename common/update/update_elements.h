#ifndef RINGMASTER_COMMON_UPDATE_UPDATE_ELEMENTS_H_
#define RINGMASTER_COMMON_UPDATE_UPDATE_ELEMENTS_H_

#include "absl/types/span.h"
#include "common/update/element_update.h"

namespace ringmaster {

// The elements of one update, [count] each and without overlap: new weights and state from a
// gradient. What the kind has no use for is not looked at.
struct UpdatedElements {
  absl::Span<const float> gradient;
  absl::Span<float> weights, first, second;
};

// Makes `update` of all elements, on the host. Pure but for what it writes; allocates nothing.
void UpdateElements(const ElementUpdate& update, const UpdatedElements& elements);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_UPDATE_ELEMENTS_H_
