#ifndef RINGMASTER_COMMON_FORMATS_WEIGHTS_H_
#define RINGMASTER_COMMON_FORMATS_WEIGHTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"

namespace ringmaster {

// A model's arena as a .safetensors file: a tensor for each parameter, under its name and shape, in the arena's order,
// so that the bytes behind the header are the arena (docs/FORMATS.md).

// Writes `arena` ([layout.count()]: weights, or gradients) atomically; `model` goes to the metadata.
absl::Status SaveArena(const std::string& path, const std::string& model, const ParamLayout& layout,
                       absl::Span<const float> arena);

// Reads a file that has exactly the layout's parameters, in any order, into `arena`. InvalidArgument lists what is
// missing, what the model does not have and what has another shape, each with what was found and expected; and what
// ReadSafetensors refuses. `arena` is then unspecified.
absl::Status LoadArena(const std::string& path, const std::string& model, const ParamLayout& layout,
                       absl::Span<float> arena);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_FORMATS_WEIGHTS_H_
