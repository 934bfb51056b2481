#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MODEL_GRADIENTS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MODEL_GRADIENTS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "experiments/study/simulate/worker_gradients.h"
#include "worker/data/samples.h"
#include "worker/model/model.h"

namespace ringmaster {

class RunSpec;
struct Dataset;

// Gradients of a run's real model on its real batches, by the kernels of its spec on the host, on a
// pool of threads. Each is computed whole by one thread, on batches of one shape, so they have the
// bits of a real worker's however many threads there are.
class ModelGradients final : public WorkerGradients {
 public:
  // `spec` is resolved and valid; it and `dataset` outlive this. InvalidArgument: its kernels are
  // of a device, or its computing is emulated. Errors as CreateWorkerParts.
  static absl::StatusOr<std::unique_ptr<ModelGradients>> Create(const RunSpec& spec,
                                                                const Dataset& dataset,
                                                                int32_t threads);
  // Waits for the tasks under way; those that have not begun are dropped.
  ~ModelGradients() override;

  const ParamLayout& layout() const;
  const Model& model() const;

  void Start(const GradientTask& task) override;
  absl::StatusOr<double> Await(int32_t rank) override;

  // Sums over the first `count` samples of the set under `weights`, the bits of a real run's. On
  // the calling thread, while no task is under way on the seat that it takes.
  absl::StatusOr<BatchScore> Score(const Samples& samples, int64_t count,
                                   absl::Span<const float> weights);

 private:
  class Seat;

  ModelGradients(const RunSpec& spec, const Dataset& dataset);
  void Work(Seat* seat);

  const RunSpec& spec_;
  const Dataset& dataset_;
  std::unique_ptr<Seat> scorer_;              // the caller's
  std::vector<std::unique_ptr<Seat>> seats_;  // a thread's each

  absl::Mutex mutex_;
  std::deque<GradientTask> tasks_ ABSL_GUARDED_BY(mutex_);                           // not begun
  std::vector<std::optional<absl::StatusOr<double>>> done_ ABSL_GUARDED_BY(mutex_);  // by rank
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // last: they use the above
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MODEL_GRADIENTS_H_
