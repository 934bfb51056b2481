#ifndef RINGMASTER_WORKER_LOOP_EVALUATE_H_
#define RINGMASTER_WORKER_LOOP_EVALUATE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"
#include "common/base/partition.h"
#include "worker/data/dataset.h"
#include "worker/loop/batch_upload.h"
#include "worker/model/model.h"

namespace ringmaster {

// Sums of loss and correct predictions over samples [range) under `weights` (in the kernels' place), in batches of at
// most `max_batch`; `work` is counted up with each. Every worker scores its own range; the ranges of all workers together are the whole set.
absl::StatusOr<BatchScore> Evaluate(const Samples& samples, Range range, int64_t max_batch, TensorView weights,
                                    Model& model, BatchUpload& upload, std::atomic<int64_t>* work);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_EVALUATE_H_
