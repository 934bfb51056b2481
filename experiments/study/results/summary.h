#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SUMMARY_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SUMMARY_H_

#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Test accuracies whose time is reported, as they appear in RunSummary.seconds_to_accuracy.
struct AccuracyThreshold {
  const char* name;
  double accuracy;
};
absl::Span<const AccuracyThreshold> AccuracyThresholds();

// The figures of one run, from its reports alone. Pure, thread-safe. A run whose status is not "ok" gets its settings
// and status and no figures. What is not defined for the arm stays absent.
//
//   predicted_step_ms   what the cost model said before the run; absent where nobody asked it
//   samples_per_second  global batch * timed steps / timed seconds of the slowest worker
//   step_ms_p50, _p95   over the timed steps of all workers, linear between neighbours
//   phase_ms            mean per timed step and worker
//   exposed_comm_ms     phase "exposed": the step thread waits for exchange. Absent for single and solo
//   hidden_comm_ms      encode + exchange + reduce of the exchange thread, less the time that the step thread waited
//                       (exposed, gate), at least 0: exchange while it computes. Absent for single and solo
//   transport           what carried the bytes; of an all-reduce by another library, that library and its wire
//   bytes_...           mean per step and worker, all steps; absent where another library carried them, unmetered
//   staleness_...       over all contributions to all servers; absent without servers
//   final_loss, test_accuracy, seconds_to_accuracy, weights_sha256   of rank 0; absent for solo, which trains N
//                       models. The time is that of the first evaluation that reaches the accuracy, not interpolated
//   processes_per_core  processes of the run, servers too, over the cores of record.machine
RunSummary Summarize(const RunRecord& record);

// Fills the figures that need other arms of the same comparison: `summaries` are those finished so far, in any order;
// may be called again as arms finish. Absent where the arm it needs is missing or failed. Pure but for *summaries.
//
//   speed_up_over_single  samples/s over single's
//   efficiency            samples/s over solo's; not for single, which is one worker
//   contention_ms         (step p50 - solo's step p50) - exposed - gate - (update - solo's update): what exchange
//                         steals from compute on shared cores. Encoding runs on the exchange thread, so none of it is
//                         taken off the step. Solo updates in every step and a worker of a server never does, hence
//                         the difference. A median less means: noise can push it below 0, and it is left there, for
//                         that shows how far the figure can be trusted. Not for single and solo
void AddComparative(std::vector<RunSummary>* summaries);

// Exposed communication and contention together, milliseconds: by how much exchange makes a step longer, whether the step
// waits for it or shares its cores with it. Absent where either is. Pure.
std::optional<double> ExposedAndContentionMs(const RunSummary& summary);

// exposed / (exposed + hidden), 0 to 1: the share of communication for which the step waits. Absent where nothing is
// communicated. Pure.
std::optional<double> ExposedShare(const RunSummary& summary);

// Phase `name` of the summary in milliseconds a step, 0 where it did not occur.
double PhaseMs(const RunSummary& summary, const char* name);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SUMMARY_H_
