#ifndef RINGMASTER_WORKER_LOOP_RUN_OUTPUTS_H_
#define RINGMASTER_WORKER_LOOP_RUN_OUTPUTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/formats/npy.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Where a run's outputs lie (docs/FORMATS.md).
std::string InitialWeightsFile(const std::string& folder);  // FOLDER/initial-weights.safetensors
std::string BatchesFile(const std::string& folder, int32_t rank);  // FOLDER/batches-rank0.npy
// FOLDER/gradients-step000000.safetensors
std::string GradientsFile(const std::string& folder, int64_t step);

// What of a run is a worker's.
struct OutputScope {
  int32_t rank = 0;
  int32_t ranks = 1;  // how many ranks, from `rank` on, it computes the batches of
  int64_t first_step = 0;
};

// What one worker leaves behind beside its report, as the resolved spec's OutputSpec asks: sample
// indices of every step for each rank whose batches it computes, from worker 0 the first steps'
// averaged gradients, and from one worker the final weights. Costs nothing where nothing is asked
// for. The step thread's.
class RunOutputs {
 public:
  // Where batches are wanted, worker 0 also writes the initial weights beside them, and a run can
  // be repeated from the folder. `spec` and `layout` outlive it. Finds out at once what cannot be
  // written: the status names the field.
  static absl::StatusOr<std::unique_ptr<RunOutputs>> Create(
      const RunSpec& spec, const OutputScope& scope, const ParamLayout& layout,
      absl::Span<const float> initial_weights);

  // The next batch of `rank`, as positions in the training set.
  absl::Status AddBatch(int32_t rank, absl::Span<const int64_t> indices);

  // Whether somebody wants AddGradient.
  bool wants_gradients() const { return !gradients_.empty(); }
  // One bucket of the averaged gradient of `step`.
  void AddGradient(int64_t step, const Bucket& bucket, absl::Span<const float> gradient);
  // All buckets of `step` have arrived.
  absl::Status EndStep(int64_t step);

  // After the last step, with the final weights, which one worker of the run saves.
  absl::Status Finish(absl::Span<const float> weights, bool saves_weights);

 private:
  RunOutputs(const RunSpec& spec, int32_t rank, const ParamLayout& layout)
      : spec_(spec), output_(spec.output()), rank_(rank), layout_(layout) {}

  const RunSpec& spec_;
  const OutputSpec& output_;
  const int32_t rank_;
  const ParamLayout& layout_;
  std::vector<std::unique_ptr<NpyWriter>> batches_;  // by rank from rank_ on; empty: nobody asks
  std::vector<float> gradients_;                     // one step's arena; empty: nobody asks
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_RUN_OUTPUTS_H_
