#include "experiments/program/run/worker_parts.h"

#include <utility>

#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "worker/kernels/registry.h"
#include "worker/loop/slowdown.h"
#include "worker/loop/training_loop.h"
#include "worker/model/emulated.h"

namespace ringmaster {
namespace {

absl::StatusOr<WorkerParts> CreateParts(const RunSpec& spec, const char* kernels, int device,
                                        ModelOptions options) {
  options.bucket_bytes = spec.training().bucket_bytes();
  options.bucket_layout = BucketLayoutOf(spec.training());
  WorkerParts parts;
  RM_ASSIGN_OR_RETURN(parts.kernels, CreateKernelLibrary(kernels, device));
  RM_ASSIGN_OR_RETURN(parts.model, CreateModel(spec.model(), options, *parts.kernels));
  return parts;
}

}  // namespace

absl::StatusOr<WorkerParts> CreateWorkerParts(const RunSpec& resolved, const SampleShape& shape,
                                              ComputingRank rank) {
  const TrainingSpec& training = resolved.training();
  const bool emulated = training.has_emulated_compute();
  ModelOptions options;
  options.shape = shape;
  options.max_batch = emulated ? 1 : LargestBatch(resolved.training().batch_per_worker(), shape);
  RM_ASSIGN_OR_RETURN(WorkerParts parts,
                      CreateParts(resolved, training.kernels().c_str(), rank.device, options));
  if (rank.own != nullptr) {
    const ParamLayout layout = parts.model->layout();
    parts.model = rank.own->create_model(resolved, layout, rank.step);
    return parts;
  }
  if (!emulated) return parts;
  const absl::Duration both = absl::Milliseconds(training.emulated_compute().milliseconds()) *
                              SlowdownFactor(training, rank.rank);
  const absl::Duration backward = both * training.emulated_compute().backward_share();
  EmulatedGradients gradients;
  gradients.seed = training.seed();
  gradients.ranks = training.workers();
  gradients.batches_a_rank = training.accumulate();
  gradients.scale = GradientScaleOf(resolved);
  RM_ASSIGN_OR_RETURN(parts.model,
                      CreateEmulatedModel(std::move(parts.model),
                                          {both - backward, backward, std::move(rank.interrupted),
                                           std::move(rank.slowed)},
                                          gradients, *parts.kernels));
  return parts;
}

absl::StatusOr<WorkerParts> CreateHostModel(const RunSpec& resolved, const SampleShape& shape) {
  ModelOptions options;
  options.shape = shape;
  options.max_batch = 1;
  return CreateParts(resolved, "reference", 0, options);
}

}  // namespace ringmaster
