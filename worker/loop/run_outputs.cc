#include "worker/loop/run_outputs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/formats/atomic_file.h"
#include "common/formats/weights.h"

namespace ringmaster {

std::string InitialWeightsFile(const std::string& folder) {
  return folder + "/initial-weights.safetensors";
}

std::string BatchesFile(const std::string& folder, int32_t rank) {
  return absl::StrCat(folder, "/batches-rank", rank, ".npy");
}

std::string GradientsFile(const std::string& folder, int64_t step) {
  return absl::StrFormat("%s/gradients-step%06d.safetensors", folder, step);
}

absl::StatusOr<std::unique_ptr<RunOutputs>> RunOutputs::Create(
    const RunSpec& spec, const OutputScope& scope, const ParamLayout& layout,
    absl::Span<const float> initial_weights) {
  std::unique_ptr<RunOutputs> outputs(new RunOutputs(spec, scope.rank, layout));
  const OutputSpec& output = spec.output();
  if (!output.dump_batches().empty()) {
    const int64_t per_rank = ExactDiv(GlobalBatch(spec), spec.training().workers());
    for (int32_t i = 0; i < scope.ranks; ++i) {
      auto writer =
          NpyWriter::Create(BatchesFile(output.dump_batches(), scope.rank + i), NpyType::kInt64,
                            {spec.training().steps() - scope.first_step, per_rank});
      RM_RETURN_IF_ERROR(Annotate(writer.status(), "output.dump_batches"));
      outputs->batches_.push_back(*std::move(writer));
    }
  }
  if (scope.rank != 0) return outputs;
  if (!output.dump_batches().empty()) {
    RM_RETURN_IF_ERROR(Annotate(
        SaveArena(InitialWeightsFile(output.dump_batches()), spec, layout, initial_weights),
        "output.dump_batches"));
  }
  if (!output.dump_gradients().empty()) {
    RM_RETURN_IF_ERROR(
        Annotate(CheckFolderCanBeWritten(output.dump_gradients()), "output.dump_gradients"));
    outputs->gradients_.resize(layout.count());
  }
  if (!output.save_weights().empty()) {
    RM_RETURN_IF_ERROR(
        Annotate(CheckFileCanBeWritten(output.save_weights()), "output.save_weights"));
  }
  return outputs;
}

absl::Status RunOutputs::AddBatch(int32_t rank, absl::Span<const int64_t> indices) {
  if (batches_.empty()) return absl::OkStatus();
  return Annotate(batches_[rank - rank_]->Append(indices), "output.dump_batches");
}

void RunOutputs::AddGradient(int64_t step, const Bucket& bucket, absl::Span<const float> gradient) {
  if (gradients_.empty() || step >= output_.dump_gradient_steps()) return;
  std::copy(gradient.begin(), gradient.end(), gradients_.begin() + bucket.begin);
}

absl::Status RunOutputs::EndStep(int64_t step) {
  if (gradients_.empty() || step >= output_.dump_gradient_steps()) return absl::OkStatus();
  return Annotate(
      SaveArena(GradientsFile(output_.dump_gradients(), step), spec_, layout_, gradients_),
      "output.dump_gradients");
}

absl::Status RunOutputs::Finish(absl::Span<const float> weights, bool saves_weights) {
  for (std::unique_ptr<NpyWriter>& writer : batches_) {
    RM_RETURN_IF_ERROR(Annotate(writer->Finish(), "output.dump_batches"));
  }
  if (!saves_weights || output_.save_weights().empty()) return absl::OkStatus();
  return Annotate(SaveArena(output_.save_weights(), spec_, layout_, weights),
                  "output.save_weights");
}

}  // namespace ringmaster
