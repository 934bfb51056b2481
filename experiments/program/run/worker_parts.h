#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_WORKER_PARTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_WORKER_PARTS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"
#include "worker/data/samples.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/model.h"

namespace ringmaster {

// What a worker computes with; the model uses the kernels.
struct WorkerParts {
  std::unique_ptr<KernelLibrary> kernels;
  std::unique_ptr<Model> model;
};

// The user's program in this very process, which computes a worker's gradients.
struct OwnProgram {
  // A model of this layout that has the program compute. `step`: the worker's step under way. All
  // outlives the model.
  std::function<std::unique_ptr<Model>(const RunSpec& spec, const ParamLayout& layout,
                                       const std::atomic<int64_t>* step)>
      create_model;
  // The weights that it starts from; empty: it gave none. Called once at most.
  std::function<std::vector<float>()> take_weights;
  std::string fingerprint;  // of its files
  // Called with the final weights, by the worker's step thread.
  std::function<void(absl::Span<const float> weights)> trained;
  // Called once the run is over and well, while the memory that the program sees is still there.
  std::function<void()> over;
};

// Who computes with the parts.
struct ComputingRank {
  int device = 0;  // the GPU, where the kernels are of one
  int32_t rank = 0;
  // Ends emulated computing early, with its error (common/base/interruptible_sleep.h).
  std::function<absl::Status()> interrupted;
  // By which emulated computing is slowed beside what the spec says (EmulatedTimes::slowed).
  std::function<double()> slowed = nullptr;
  const OwnProgram* own = nullptr;             // null: models are ours
  const std::atomic<int64_t>* step = nullptr;  // its step under way; there where `own` is
};

// Those of `rank.own` where it is there; else:
// the kernels that the resolved spec names and its model for samples of `shape`, as large a batch
// at once as training and evaluation take. Emulated where the spec says so, and then as much
// slower as the spec slows this rank down. Errors are those of CreateKernelLibrary and CreateModel.
absl::StatusOr<WorkerParts> CreateWorkerParts(const RunSpec& resolved, const SampleShape& shape,
                                              ComputingRank rank);

// The spec's model on the host, one sample at a time. Layout and initial weights, which do not
// depend on the device, come from it. Errors are those of CreateModel.
absl::StatusOr<WorkerParts> CreateHostModel(const RunSpec& resolved, const SampleShape& shape);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_WORKER_PARTS_H_
