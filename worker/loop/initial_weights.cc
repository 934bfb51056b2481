#include "worker/loop/initial_weights.h"

#include "common/base/status_macros.h"
#include "common/formats/weights.h"

namespace ringmaster {

absl::StatusOr<std::vector<float>> InitialWeights(const RunSpec& spec, const Model& model) {
  std::vector<float> weights(model.layout().count());
  const std::string& file = spec.training().init_weights();
  if (file.empty()) {
    model.InitWeights(spec.training().seed(), absl::MakeSpan(weights));
    return weights;
  }
  // Each command's flag for it.
  RM_RETURN_IF_ERROR(
      Annotate(LoadArena(file, spec.model().name(), model.layout(), absl::MakeSpan(weights)),
               spec.has_evaluation() ? "--weights" : "--init-weights"));
  return weights;
}

}  // namespace ringmaster
