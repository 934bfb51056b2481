#ifndef RINGMASTER_WORKER_LOOP_BATCH_FEED_H_
#define RINGMASTER_WORKER_LOOP_BATCH_FEED_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/fingerprint.h"
#include "common/state/state.h"
#include "common/trace/trace.h"
#include "proto/record.pb.h"
#include "worker/data/loader.h"
#include "worker/data/prefetcher.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/lot_order.h"
#include "worker/loop/micro_batch.h"
#include "worker/loop/run_outputs.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// A worker's training batches, made ahead, in the order of steps and within one of micro-batches;
// what they were is logged. The step thread's.
class BatchFeed {
 public:
  // From step setup.first_step on: what the batches are follows from their lots. `gradient_scale`:
  // the factor of each batch's loss. All else outlives it.
  BatchFeed(const WorkerSetup& setup, const StepShape& shape, float gradient_scale,
            BatchUpload& upload, RunOutputs& outputs, PhaseTimes& times);

  // The lot of the worker's next step; nullopt: no work is left. Waits until it is known and its
  // first batch is made. Adds to the phase "load".
  absl::StatusOr<std::optional<int64_t>> NextLot();

  // The next `steps` steps are not made: throws away their batches, which are in no log. Waits
  // until they are made. REQUIRES: the step before, of which NextLot was called, has had its
  // batches.
  absl::Status Skip(int64_t steps);

  // The batch after the one before, which is `micro_batch`, where the kernels can read it. Adds to
  // the phases "load" and "upload". Valid until the next call. REQUIRES: NextLot was called for its
  // step.
  absl::StatusOr<BatchView> Next(const MicroBatch& micro_batch);

  // A step took so long.
  void NoteStep(double seconds) { lots_.NoteStep(seconds); }

  // LotOrder's. Any thread.
  void NoteSettled(int64_t count) { lots_.NoteSettled(count); }

  // Ends what makes batches ahead.
  void Stop();

  // WorkerReport.batch_set_fingerprint of the batches so far.
  uint64_t batch_set() const { return batch_set_; }

  // The fingerprints of all batches so far; empty where setup.keep is absent. Take: before the
  // first batch, which comes after them.
  State Give() const;
  absl::Status Take(const State& state);

  // The fingerprints of the batches so far, by share. Once.
  void AddFingerprints(WorkerReport* report);

 private:
  void Log(int32_t share, uint64_t fingerprint);
  // Makes batch k of this worker's.
  absl::Status Fill(int64_t k, Batch* batch);

  const WorkerSetup& setup_;
  const int32_t shares_;  // lots of a step
  const Dealing dealing_;
  const float gradient_scale_;
  BatchUpload& upload_;
  RunOutputs& outputs_;
  PhaseTimes& times_;
  const Batch* next_ = nullptr;  // the first of a step that NextLot has waited for
  // used by batches_ alone
  Loader loader_;
  LotOrder lots_;
  std::optional<int64_t> lot_;  // of the batches being made
  FingerprintStream batch_stream_;
  std::vector<FingerprintStream> batch_logs_;  // by share: of the fingerprints of its batches
  // By share: what batch_logs_ are of, where checkpoints are kept: a stream cannot be stored.
  std::vector<std::vector<int64_t>> logged_;
  uint64_t batch_set_ = 0;  // WorkerReport.batch_set_fingerprint
  Prefetcher batches_;      // last: its thread uses the loader
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_BATCH_FEED_H_
