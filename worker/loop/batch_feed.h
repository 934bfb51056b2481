#ifndef RINGMASTER_WORKER_LOOP_BATCH_FEED_H_
#define RINGMASTER_WORKER_LOOP_BATCH_FEED_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/fingerprint.h"
#include "common/trace/trace.h"
#include "proto/record.pb.h"
#include "worker/data/loader.h"
#include "worker/data/prefetcher.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/micro_batch.h"
#include "worker/loop/run_outputs.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// A worker's training batches, made ahead, in the order of steps and within one of micro-batches;
// what they were is logged. The step thread's.
class BatchFeed {
 public:
  // From step setup.first_step on: what the batches are follows from their step. `gradient_scale`:
  // the factor of each batch's loss. All else outlives it.
  BatchFeed(const WorkerSetup& setup, const StepShape& shape, float gradient_scale,
            BatchUpload& upload, RunOutputs& outputs, PhaseTimes& times);

  // The batch after the one before, which is `micro_batch`, where the kernels can read it. Adds to
  // the phases "load" and "upload". Valid until the next call.
  absl::StatusOr<BatchView> Next(const MicroBatch& micro_batch);

  // Ends what makes batches ahead.
  void Stop() { batches_.Stop(); }

  // The fingerprints of the batches so far, by share. Once.
  void AddFingerprints(WorkerReport* report);

 private:
  // Of one training batch, by the rank it stands for: every arm drops the same activations.
  uint64_t DropoutSeed(int32_t rank, const MicroBatch& micro_batch) const;

  const WorkerSetup& setup_;
  const float gradient_scale_;
  BatchUpload& upload_;
  RunOutputs& outputs_;
  PhaseTimes& times_;
  Loader loader_;  // used by batches_ alone
  FingerprintStream batch_stream_;
  std::vector<FingerprintStream> batch_logs_;  // by share: of the fingerprints of its batches
  Prefetcher batches_;                         // last: its thread uses the loader
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_BATCH_FEED_H_
