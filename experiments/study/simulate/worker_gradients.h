#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_WORKER_GRADIENTS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_WORKER_GRADIENTS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ringmaster {

// One step's computing of one simulated worker.
struct GradientTask {
  int32_t rank = 0;
  int64_t step = 0;
  int64_t lot = 0;                  // common/control/dealing.h; of several, the first
  absl::Span<const float> weights;  // [layout.count()], as they are until Await
  absl::Span<float> gradients;      // [layout.count()], written until Await
};

// Where the workers of a simulation get their gradients from: scaled as in a run, so that the sum
// over all workers is the average. Called by the simulation's thread.
class WorkerGradients {
 public:
  virtual ~WorkerGradients() = default;

  // Starts to compute. A rank has one task under way.
  virtual void Start(const GradientTask& task) = 0;

  // Waits until the rank's task is done. The mean loss of its batches; or why there is none.
  virtual absl::StatusOr<double> Await(int32_t rank) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_WORKER_GRADIENTS_H_
