#ifndef RINGMASTER_WORKER_LOOP_SCORING_H_
#define RINGMASTER_WORKER_LOOP_SCORING_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "proto/record.pb.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// What a worker scores of a run that has been trained: its share of the test set at every mark, and
// of the training set at the end. Weights are given where the kernels can read them. The step
// thread's.
class Scoring {
 public:
  // `setup` and `upload` outlive it.
  Scoring(const WorkerSetup& setup, BatchUpload& upload);

  // Whether loss and accuracy are figures of this run. If not, nothing else is called.
  bool is_scored() const { return is_scored_; }

  // The workers of these ranks, in ascending order, score nothing: those left share all of it. The
  // same in all of them. Once.
  void LeaveOut(const std::vector<int32_t>& lost);

  // Loss and accuracy on the test set with the weights after `samples_seen` samples and `seconds`
  // of training.
  absl::Status ScoreTestSet(TensorView weights, int64_t samples_seen, double seconds,
                            WorkerReport* report);

  // The loss on the training set under the final weights.
  absl::Status ScoreTrainingSet(TensorView weights, WorkerReport* report);

 private:
  // Loss and hits of this worker's share of the first `count` samples; nothing where the share is
  // empty.
  absl::StatusOr<BatchScore> ScoreShare(const Samples& samples, int64_t count, TensorView weights);

  const WorkerSetup& setup_;
  BatchUpload& upload_;
  const bool is_scored_;
  int32_t workers_;  // who share the work
  int32_t share_;    // which of the shares is this worker's
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_SCORING_H_
