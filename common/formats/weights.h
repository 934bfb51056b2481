#ifndef RINGMASTER_COMMON_FORMATS_WEIGHTS_H_
#define RINGMASTER_COMMON_FORMATS_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// A model's arena as a .safetensors file: a tensor for each parameter, under its name and shape, in
// the arena's order, so that the bytes behind the header are the arena (docs/FORMATS.md).

// Writes `arena` ([layout.count()]: weights, or gradients) atomically; the model of the resolved
// `spec` and the name of its data go to the metadata.
absl::Status SaveArena(const std::string& path, const RunSpec& spec, const ParamLayout& layout,
                       absl::Span<const float> arena);

// A parameter's name without what wrappers of PyTorch put into it: `module.`
// (DistributedDataParallel, DataParallel) and `_orig_mod.` (torch.compile), wherever and however
// often they stand. Pure.
std::string WithoutWrappers(absl::string_view name);

// What a file of weights says of itself, without its values.
struct WeightsHeader {
  // NotFound: of another program, or of an older Ringmaster; InvalidArgument: of a newer one.
  absl::StatusOr<ModelSpec> model = absl::NotFoundError("");
  std::string model_name;                              // of the metadata; empty: it says none
  std::string data_name;                               // of the metadata: what they were trained on
  std::map<std::string, std::vector<int64_t>> shapes;  // by parameter, without wrappers
  std::string changes;  // what LoadArena does to names and types, in one line; empty: nothing
};

// Errors as LoadArena's, but for values. Thread-safe.
absl::StatusOr<WeightsHeader> ReadWeightsHeader(const std::string& path);

// Reads a file that has exactly the layout's parameters, in any order, into `arena`; names as
// WithoutWrappers gives them, values of float16 and bfloat16 exactly, PyTorch's batch counters left
// out. InvalidArgument lists what is missing, what the model does not have and what has another
// shape, each with what was found and expected; and what ReadSafetensors refuses. `arena` is then
// unspecified.
absl::Status LoadArena(const std::string& path, const std::string& model, const ParamLayout& layout,
                       absl::Span<float> arena);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_FORMATS_WEIGHTS_H_
