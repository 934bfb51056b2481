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

  // Sums over the first `count` samples of the set under `weights`, to the same bits for any number
  // of threads: all that are free take part, the calling one too, before tasks that have not begun.
  absl::StatusOr<BatchScore> Score(const Samples& samples, int64_t count,
                                   absl::Span<const float> weights);

 private:
  class Seat;

  // A Score under way. Its batches are those of Evaluate, and their sums are added in its order.
  struct Scoring {
    const Samples* samples = nullptr;
    int64_t count = 0;
    absl::Span<const float> weights;
    int64_t next = 0;                                // batch that nobody has taken
    int64_t left = 0;                                // batches that are not done
    std::vector<absl::StatusOr<BatchScore>> scores;  // by batch
  };

  ModelGradients(const RunSpec& spec, const Dataset& dataset);
  void Work(Seat* seat);
  bool HasBatch() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return scoring_ != nullptr && scoring_->left > 0 &&
           scoring_->next < static_cast<int64_t>(scoring_->scores.size());
  }
  // Scores the next batch, outside of the lock. REQUIRES: HasBatch.
  void ScoreBatch(Seat* seat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RunSpec& spec_;
  const Dataset& dataset_;
  std::unique_ptr<Seat> scorer_;              // the caller's
  std::vector<std::unique_ptr<Seat>> seats_;  // a thread's each

  absl::Mutex mutex_;
  std::deque<GradientTask> tasks_ ABSL_GUARDED_BY(mutex_);                           // not begun
  std::vector<std::optional<absl::StatusOr<double>>> done_ ABSL_GUARDED_BY(mutex_);  // by rank
  Scoring* scoring_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // last: they use the above
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_MODEL_GRADIENTS_H_
