#ifndef RINGMASTER_WORKER_LOOP_TRAINING_LOOP_H_
#define RINGMASTER_WORKER_LOOP_TRAINING_LOOP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/describe.h"
#include "common/state/state.h"
#include "common/trace/trace.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "worker/loop/batch_feed.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/bucket_delivery.h"
#include "worker/loop/loop_replica.h"
#include "worker/loop/micro_batch.h"
#include "worker/loop/run_outputs.h"
#include "worker/loop/run_report.h"
#include "worker/loop/scoring.h"
#include "worker/loop/slowdown.h"
#include "worker/loop/weight_copies.h"
#include "worker/loop/worker_setup.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// What a worker's batches have as gradient_scale (worker/model/model.h): the average over all that
// an update is made from. `spec` is resolved. Pure, thread-safe.
float GradientScaleOf(const RunSpec& spec);

// The one training loop: the same code for every arm. Makes a step of each lot that this worker is
// dealt or claims, drains when no work is left, scores the model at every mark, and reports. Called
// by the worker's step thread.
class TrainingLoop {
 public:
  static absl::StatusOr<std::unique_ptr<TrainingLoop>> Create(const WorkerSetup& setup);

  // The error names step and phase. What was measured until then is in the report. On an error the
  // transport is aborted and no thread of this worker is left, but operations under way may still
  // touch the loop's memory: it must outlive the transport's fabric.
  absl::Status Run(WorkerReport* report);

  // When the clock of training began; the epoch: it has not.
  Clock::time_point clock_begin() const { return clock_begin_; }

  // What the worker would need to go on after its last step, for WorkerSetup::state. REQUIRES: Run
  // has returned OK.
  absl::StatusOr<State> Give() const;

  // Bytes of what the update rule, the codec's memory and the strategy keep between steps.
  // REQUIRES: Run has returned OK.
  absl::StatusOr<int64_t> StateBytes() const;

 private:
  explicit TrainingLoop(const WorkerSetup& setup);

  absl::Status Prepare();
  absl::Status PrepareCheckpoints();
  // setup_.state.
  absl::Status Take(const State& state);
  WorkerLink Link();
  absl::Status Train(RunReport* figures, WorkerReport* report);
  // The strategy's, with all updates in the weights.
  absl::Status Drain();
  // Raises step_ to the step that the strategy says is next; nobody computes the lots in between.
  absl::Status SkipToNextStep(RunReport* figures);
  // The lot of step_; nullopt: no work is left.
  absl::StatusOr<std::optional<int64_t>> NextLot();
  // What before_step calls the step of `lot`; of no lot, the number of all steps.
  int64_t GrantedStep(std::optional<int64_t> lot) const;
  // Stands still for as long as whoever grants steps wants, before the step of this number.
  absl::Status AwaitTurn(int64_t granted_step, RunReport* figures);
  // Makes the checkpoints that are due before the step of this number.
  absl::Status MakeCheckpoints(int64_t granted_step, RunReport* figures, WorkerReport* report);
  // All workers stand still, drained, before `step`: scores the marks that have been passed, and
  // has everybody's state kept, where it is wanted. On no clock of training.
  absl::Status MakeCheckpoint(int64_t step, RunReport* figures, WorkerReport* report);
  // This worker's part of it; the run stands still since `begin`.
  absl::Status KeepState(int64_t step, Clock::time_point begin, RunReport* figures);
  // Runs and times step_.
  absl::Status TimeStep(RunReport* figures);
  absl::Status RunStep(int64_t step);
  // Keeps the state before `step`, which the worker may begin, for a run that goes back to it.
  // `batch_set`: BatchFeed's, before the step.
  absl::Status KeepStep(int64_t step, uint64_t batch_set);
  absl::StatusOr<State> GiveWith(State batches) const;
  // Forward and backward of `batch`, which is `micro_batch`.
  absl::Status Compute(const MicroBatch& micro_batch, const BatchView& batch);
  // Whether all updates of the mark are made by the steps below `step`; false of no mark.
  bool HasPassed(size_t mark, int64_t step) const;
  // All workers stand still, drained, before `step`: scores the model of every mark that has been
  // passed, and was not scored yet. The run stands still since `since`.
  absl::Status ScoreMarks(int64_t step, Clock::time_point since, const RunReport& figures,
                          WorkerReport* report);
  // The model's final weights are numbers and go where the spec wants them; it is scored; the
  // strategy ends.
  absl::Status Finish(RunReport* figures, WorkerReport* report);
  ThreadRecorder* recorder() { return setup_.traces == nullptr ? nullptr : &setup_.traces->step; }

  const WorkerSetup setup_;
  const TrainingSpec& training_;
  const StepShape shape_;
  const int64_t global_batch_;
  const bool claims_;
  // The drain that ends training sums what all workers hold, of those that are left: they agree
  // before it who that is.
  const bool meets_before_drain_;
  const float gradient_scale_;  // 1/(N*A), or 1/A
  Slowdown slowdown_;
  int64_t step_ = 0;             // under way; after the last, how many there were
  int64_t timed_from_ = 0;       // the steps below it are not timed
  int64_t next_checkpoint_ = 0;  // before which step
  int64_t untimed_until_ = 0;    // the first step whose time no checkpoint has touched
  const std::vector<SampleMark> marks_;
  size_t next_mark_ = 0;               // the first that is not scored
  int64_t lot_ = 0;                    // of the step under way
  Clock::time_point clock_begin_;      // of training
  Clock::time_point mark_;             // since when the step's time runs
  PhaseTimes step_times_{recorder()};  // since the last step ended; the strategy adds to it too
  double loss_ = 0;                    // of the step so far, summed over micro-batches
  Clock::time_point computed_;         // when the step had its gradients
  std::unique_ptr<WeightCopies> copies_;
  BatchUpload upload_;
  std::unique_ptr<Scoring> scoring_;
  std::optional<KeptStateMemory> state_memory_;  // present: checkpoints are kept
  std::unique_ptr<RunOutputs> outputs_;
  std::unique_ptr<BatchFeed> feed_;
  // Gradients outlive the strategy, whose thread uses them.
  std::unique_ptr<BucketDelivery> delivery_;
  // Ends before them, behind what it reads of them, and after the strategy.
  std::unique_ptr<LoopReplica> replica_;
  std::unique_ptr<SyncStrategy> strategy_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_TRAINING_LOOP_H_
