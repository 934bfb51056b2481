#ifndef RINGMASTER_WORKER_LOOP_RUN_REPORT_H_
#define RINGMASTER_WORKER_LOOP_RUN_REPORT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/trace/trace.h"
#include "common/transport/metered.h"
#include "proto/record.pb.h"
#include "worker/loop/worker_setup.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// The most parameters that a report carries under training.report_weights: 1 MiB of them.
inline constexpr int64_t kReportedWeightsMax = 1 << 18;

// What a worker reports of its run: the steps' times and losses as they come, all else at the end.
// Times in milliseconds. The step thread's.
class RunReport {
 public:
  // Takes memory for the steps' figures. Both outlive it.
  RunReport(const WorkerSetup& setup, WorkerReport* report);

  // Goes on from a report that SoFar has made, of a run that was stopped: its steps, marks, times
  // and bytes are this run's. Of a run that goes back to a step (WorkerSetup::kept_steps) the steps
  // that are made again are no part of it, but for the bytes that they have sent. Before Begin.
  void GoOnFrom(const WorkerReport& saved);
  // What GoOnFrom needs, while the run stands still since `moment`; `exchange`: all so far.
  WorkerReport SoFar(Clock::time_point moment, const ExchangeReport& exchange) const;
  // Training begins at `start`, its clock's beginning, or goes on where it was stopped.
  void Begin(Clock::time_point start);
  // The clock's beginning: of a run that goes on, as if it had never been stopped; of one whose
  // group was formed anew, where it began.
  Clock::time_point start() const { return start_; }
  // The next step, with what its phases were and its mean loss. `computed`: when it had its
  // gradients. Steps of the warm-up are not timed. Allocates nothing where the step is timed, but
  // for very long runs.
  void AddStep(int64_t step, double step_ms, double loss, const PhaseTimes& times,
               Clock::time_point computed);
  // A stretch between two steps that is on no clock. The shortest, in which nobody was told to
  // stand still, are not kept: they stay on the clock of marks.
  void AddPause(Clock::time_point begin, Clock::time_point end);
  // Whether the steps from the next on are timed, if they are not of the warm-up; before the first
  // call they are.
  void SetTimed(bool is_timed);
  // The next step is of this lot, which the worker has claimed.
  void AddLot(int64_t lot);
  // The next `steps` steps were not made: the others had ended them.
  void AddSkipped(int64_t steps) { report_.set_skipped_steps(report_.skipped_steps() + steps); }
  // The step thread took so long for its part of a checkpoint.
  void AddCheckpoint(double ms) { report_.add_checkpoint_ms(static_cast<float>(ms)); }
  // This worker has made its last step.
  void NoWorkIsLeft();
  // Training is over: what is computed and sent from here on is no part of it.
  void End();

  // The clock of training at a moment of it, without pauses.
  double TrainingSeconds(Clock::time_point moment) const;

  // What the strategy and, until End, the transport did. REQUIRES: the strategy has ended.
  void AddExchange(const ExchangeReport& exchange);
  // The model's weights at the end: their hash, and themselves where the spec asks; then
  // InvalidArgument where they are too many.
  absl::Status AddWeights(absl::Span<const float> weights);

 private:
  // Takes the steps from `step` on out, which are made again.
  void UndoStepsFrom(int64_t step);
  // Puts the totals of all steps so far into `report`, beside those of runs before.
  void AddTotals(const ExchangeReport& exchange, const Traffic& traffic,
                 WorkerReport* report) const;
  void AddWait(const PhaseTimes& times, Clock::time_point computed);
  // Of the process from here on: what timed_cpu_seconds_ counts.
  void MarkCpu();
  // Counts what it has taken since.
  void CountCpu();

  const WorkerSetup& setup_;
  const TrainingSpec& training_;
  WorkerReport& report_;
  const int64_t global_batch_;
  bool is_timed_ = true;  // what SetTimed said
  Clock::time_point start_;
  Clock::duration before_{};  // of the clock, until the run was stopped that this one goes on from
  Clock::time_point last_computed_;    // of the step before
  Traffic traffic_;                    // until End
  double phase_ms_[kPhaseCount] = {};  // totals over timed steps
  double timed_ms_ = 0;
  int64_t timed_steps_ = 0;
  double cpu_mark_seconds_ = 0;   // of the process, when what is being counted began
  double timed_cpu_seconds_ = 0;  // of the process, over the timed steps
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_RUN_REPORT_H_
