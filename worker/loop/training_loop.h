#ifndef RINGMASTER_WORKER_LOOP_TRAINING_LOOP_H_
#define RINGMASTER_WORKER_LOOP_TRAINING_LOOP_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fingerprint.h"
#include "common/scheme/registry.h"
#include "common/tensor/tensor.h"
#include "common/trace/node_traces.h"
#include "common/transport/metered.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"
#include "worker/data/loader.h"
#include "worker/data/prefetcher.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/conductor.h"
#include "worker/loop/evaluate.h"
#include "worker/loop/gradient_encoder.h"
#include "worker/loop/run_outputs.h"
#include "worker/loop/slowdown.h"
#include "worker/loop/stager.h"
#include "worker/model/model.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Makes a worker's strategy.
using StrategyFactory = std::function<absl::StatusOr<std::unique_ptr<SyncStrategy>>(const WorkerLink&)>;

// What one worker trains with; everything outlives the loop.
struct WorkerSetup {
  int32_t rank = 0;
  int device = 0;                        // GPU, where there is one
  const RunSpec* spec = nullptr;         // resolved
  const Dataset* dataset = nullptr;
  KernelLibrary* kernels = nullptr;
  Model* model = nullptr;
  const std::vector<float>* initial_weights = nullptr;
  MeteredTransport* transport = nullptr; // null where nothing is exchanged
  BufferAllocator allocate_exchange;     // of host memory that the transport moves fastest; absent: ordinary memory
  Conductor* conductor = nullptr;
  WorkerProgress* progress = nullptr;
  StrategyFactory create_strategy;       // absent: the one of worker/strategy that the spec names
  WorkerTraces* traces = nullptr;        // where the traced steps are recorded; null: nowhere
  // Called before every step, its time on no clock; an error ends training. Absent: nobody asks.
  std::function<absl::Status(int64_t step)> before_step;
};

// Samples that the model of a worker must take at once. The rounding of convolutions depends on it, so every arm asks
// here.
inline int64_t LargestBatch(const RunSpec& resolved, const SampleShape& shape) {
  return std::max<int64_t>(EvaluationBatch(shape), resolved.training().batch_per_worker());
}

// The most parameters that a report carries under training.report_weights: 1 MiB of them.
inline constexpr int64_t kReportedWeightsMax = 1 << 18;

// The one training loop: the same code for every arm. Runs all steps of the spec, evaluates with all clocks stopped,
// drains, and reports. Called by the worker's step thread.
class TrainingLoop {
 public:
  static absl::StatusOr<std::unique_ptr<TrainingLoop>> Create(const WorkerSetup& setup);

  // The error names step and phase. What was measured until then is in the report. On an error the transport is aborted
  // and no thread of this worker is left, but operations under way may still touch the loop's memory: it must outlive
  // the transport's fabric.
  absl::Status Run(WorkerReport* report);

 private:
  // One of the batches of a step.
  struct MicroBatch {
    int32_t share = 0;   // whose it is: of rank setup_.rank + share
    int32_t index = 0;   // among that rank's, 0..A-1
  };

  explicit TrainingLoop(const WorkerSetup& setup);

  absl::Status Prepare();
  absl::Status Train(WorkerReport* report);
  absl::Status RunStep(int64_t step);
  // Takes the next batch, that of `micro_batch`. Before the gate for the first of a step: it needs no weights, so what
  // comes from the servers comes meanwhile.
  absl::Status Load(int64_t step, const MicroBatch& micro_batch);
  // Forward and backward of the batch loaded last.
  absl::Status Compute(int64_t step, const MicroBatch& micro_batch);
  // Of one training batch, by the rank it stands for: every arm drops the same activations.
  uint64_t DropoutSeed(int32_t rank, int64_t step, int32_t micro_batch) const;
  // The stager's slot that backward writes a micro-batch's gradient to, and the one in which its rank's add up.
  int32_t SlotOf(int64_t step, const MicroBatch& micro_batch) const;
  int32_t SumSlotOf(int64_t step, int32_t share) const;
  // Backward has finished `bucket`, or called for what does.
  absl::Status BucketDone(int64_t step, const MicroBatch& micro_batch, const Bucket& bucket);
  // Delivers finished buckets in their order: those that have come to the host, or with `wait` all.
  absl::Status DeliverBuckets(int64_t step, const MicroBatch& micro_batch, bool wait);
  // Hands on one bucket, waiting for it.
  absl::Status Deliver(int64_t step, const MicroBatch& micro_batch, const Bucket& bucket);
  // Brings the bucket's gradient to the host and adds it to those before it; `gradient`: what has come of it so far.
  absl::Status Collect(int64_t step, const MicroBatch& micro_batch, const Bucket& bucket, absl::Span<float>* gradient);
  // A device may go on after its calls have returned: counts what is left of forward, at the first bucket of a backward.
  absl::Status AwaitForward();
  // Adds backward's time since it began or went on. `bucket`: which it has just finished; -1: none.
  void CountBackward(int32_t bucket) { step_times_.Add(Phase::kBackward, backward_since_, Clock::now(), bucket); }
  // Loss and hits of this worker's share of the first `count` samples under the front weights; nothing where the share
  // is empty.
  absl::StatusOr<BatchScore> ScoreShare(const Samples& samples, int64_t count);
  absl::Status EvaluateAll(int64_t samples_seen, WorkerReport* report);
  absl::Status ScoreTrainingSet(WorkerReport* report);
  absl::Status FillReport(WorkerReport* report);
  absl::Status ReportWeights(WorkerReport* report) const;
  // `status` of numbers that are not finite, with what to do about it; another one as it is.
  absl::Status WithAdvice(const absl::Status& status) const;
  // The final weights are numbers, and go where the spec wants them.
  absl::Status FinishOutputs();
  // Adds the step, and the drain before it, to the totals.
  void CountStep(int64_t step, double step_ms, WorkerReport* report);
  ThreadRecorder* recorder() { return setup_.traces == nullptr ? nullptr : &setup_.traces->step; }
  void Enter(const char* phase) {
    setup_.progress->phase.store(phase, std::memory_order_relaxed);
    setup_.progress->work.fetch_add(1, std::memory_order_relaxed);
  }
  absl::Status AwaitBarrier(const std::string& name);

  const WorkerSetup setup_;
  const TrainingSpec& training_;
  const SchemeTraits traits_;
  const int32_t shares_;          // ranks whose batches are computed here: mostly 1
  const bool is_scored_;          // whether loss and accuracy are figures of this run
  const int32_t accumulate_;      // A
  const int64_t global_batch_;
  const float gradient_scale_;    // 1/(N*A), or 1/A
  Slowdown slowdown_;
  Loader loader_;                            // used by batches_ alone
  WeightStore weights_;
  std::unique_ptr<UpdateRule> update_;
  std::unique_ptr<GradientEncoder> encoder_;  // null where gradients come to the host as floats
  std::unique_ptr<Stager> stager_;
  BatchUpload upload_;
  std::unique_ptr<RunOutputs> outputs_;
  std::unique_ptr<SyncStrategy> strategy_;

  std::unique_ptr<Prefetcher> batches_;   // of all steps, a step's micro-batches one after the other
  double batch_loss_ = 0;                 // of the step so far, summed over micro-batches
  BatchView batch_;                       // loaded last, where the kernels can read it
  FingerprintStream batch_stream_;
  std::vector<FingerprintStream> batch_logs_;  // by share: of the fingerprints of its batches
  PhaseTimes step_times_{recorder()};     // since the last step ended; the strategy adds to it too
  std::unique_ptr<WorkPoint> forward_end_;  // of a device; null on the host
  size_t finished_buckets_ = 0;           // of the backward under way, and those of them that have been delivered
  size_t delivered_buckets_ = 0;
  Clock::time_point backward_since_;      // when it began, or went on after what it is interrupted by at each bucket
  double drain_ms_ = 0;                   // between the last step and the next: that one's
  double phase_ms_[kPhaseCount] = {};     // totals over timed steps
  double training_ms_ = 0;                // clocks stopped during evaluations
  double timed_ms_ = 0;
  int64_t timed_steps_ = 0;
  double cpu_mark_seconds_ = 0;           // of the process, when what is being counted began
  double timed_cpu_seconds_ = 0;          // of the process, over the timed steps
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_TRAINING_LOOP_H_
