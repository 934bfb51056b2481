#include "worker/loop/not_finite.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"
#include "proto/optimizer_spec.pb.h"

namespace ringmaster {
namespace {

// Backward once more, looked at bucket by bucket. OK: all gradients are finite.
absl::Status CheckGradients(const LostBatch& lost, Model& model, KernelLibrary& kernels) {
  const ParamLayout& layout = model.layout();
  const int64_t arena_bytes = layout.count() * static_cast<int64_t>(sizeof(float));
  RM_ASSIGN_OR_RETURN(const Buffer scratch, kernels.Allocate(arena_bytes));
  std::vector<float> gradients(layout.count());
  RM_RETURN_IF_ERROR(model.Forward(lost.batch, lost.weights));
  const TensorView arena{scratch.floats(), 1, layout.count(), kernels.place()};
  RM_RETURN_IF_ERROR(
      model.Backward(lost.weights, arena, [](const Bucket&) { return absl::OkStatus(); }));
  RM_RETURN_IF_ERROR(kernels.CopyToHost(scratch.data(), gradients.data(), arena_bytes));
  RM_RETURN_IF_ERROR(kernels.Finish());
  return CheckFinite("gradient", layout, gradients);
}

}  // namespace

std::string PlaceInArena(const ParamLayout& layout, int64_t element) {
  for (const Param& param : layout.params()) {
    if (element < param.begin || element >= param.begin + param.count) continue;
    for (const Bucket& bucket : layout.buckets()) {
      if (element >= bucket.end()) continue;
      return absl::StrCat("bucket=", bucket.id, " (", param.name, "[", element - param.begin, "])");
    }
  }
  RM_CHECK(false);
  return "";
}

absl::Status CheckFinite(const char* what, const ParamLayout& layout,
                         absl::Span<const float> arena) {
  const size_t at = FirstNotFinite(arena);
  if (at == arena.size()) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat(what, " ", arena[at], " in ", PlaceInArena(layout, static_cast<int64_t>(at))));
}

absl::Status ExplainLostBatch(const LostBatch& lost, Model& model, KernelLibrary& kernels) {
  const std::string loss = absl::StrCat("the training loss is ", lost.loss);
  RM_RETURN_IF_ERROR(Annotate(CheckFinite("weight", model.layout(), lost.host_weights), loss));
  RM_RETURN_IF_ERROR(
      Annotate(CheckGradients(lost, model, kernels), absl::StrCat(loss, " with finite weights")));
  return absl::OutOfRangeError(
      absl::StrCat(loss, ", with finite weights and gradients in every bucket"));
}

absl::Status WithRateAdvice(const absl::Status& status, const OptimizerSpec& optimizer) {
  if (!absl::IsOutOfRange(status)) return status;
  return absl::OutOfRangeError(absl::StrCat(
      status.message(), "; lower optimizer.learning_rate (now ", optimizer.learning_rate(), ")"));
}

}  // namespace ringmaster
