#ifndef RINGMASTER_WORKER_LOOP_EVALUATE_H_
#define RINGMASTER_WORKER_LOOP_EVALUATE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/partition.h"
#include "worker/data/samples.h"
#include "worker/loop/batch_upload.h"
#include "worker/model/model.h"

namespace ringmaster {

// Samples an evaluation takes at once: 256 images, or texts of about 4096 tokens.
inline int64_t EvaluationBatch(const SampleShape& shape) {
  return shape.context > 0 ? std::max<int64_t>(1, 4096 / shape.context) : 256;
}

// What worker `rank` of `workers` scores of the first `count` samples of a set: whole evaluation
// batches, as evenly as they go, so that each sample is scored once and in the same batch, to the
// same bits, however many workers there are. The shares are in rank order; the last ones are empty
// where there are fewer batches than workers.
Range EvaluationShare(const SampleShape& shape, int64_t count, int32_t workers, int32_t rank);

// The training samples whose loss under the final weights is a run's final loss: those with the
// first 60 000 labels, all of MNIST. A long text would take longer to score than to train on.
inline int64_t FinalLossSamples(const Samples& train) {
  return std::min(train.count(), std::max<int64_t>(1, 60000 / train.shape.labels()));
}

// The scores of labels one by one, in order.
struct LabelScores {
  std::vector<float> losses;
  std::vector<int32_t> predictions;
};

// Sums of loss and correct predictions over samples [range) under `weights` (in the kernels'
// place), in evaluation batches; `work` is counted up with each. Every worker scores its own share;
// the shares of all workers together are the whole set. Unless null, the range's labels are
// appended to `labels`.
absl::StatusOr<BatchScore> Evaluate(const Samples& samples, Range range, TensorView weights,
                                    Model& model, BatchUpload& upload, std::atomic<int64_t>* work,
                                    LabelScores* labels = nullptr);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_EVALUATE_H_
