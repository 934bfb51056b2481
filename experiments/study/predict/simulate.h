#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "experiments/study/predict/costs.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What a simulation says of a step, in seconds.
struct SimulatedStep {
  // Median over steps and workers, also where not every step exchanges; at least what the cores
  // take that all share.
  double step = 0;
  double compute = 0;  // mean: load, computing, delays and the worker's own update
  double exposed = 0;  // mean: the step thread waits, for the exchange or at a gate
  // A step's exchange by itself: all workers begin at once with all buckets, until the last worker
  // has what it waits for. In a run, where those who have it first go on, steps that compute
  // nothing may take less.
  double communication = 0;
};

// Plays some steps of the run `spec` (resolved and valid) on the costs: what decides in a run, the
// cores of collectives, workers and servers, decides here (simulated_cluster.h), on a network in
// which every node has one card. Where every step is soon like the one before it a few are played,
// otherwise many, and fewer the more messages a step has. Pure, thread-safe.
//
// `costs.network` has a card for every process of the run (experiments/program/run/placement.h),
// and a rank's compute as many buckets as `buckets`.
//
// A message takes its time to the nanosecond. What it leaves out: additions in an all-reduce,
// framing, loans of memory between processes, and turns that threads wait for on shared cores, of
// which it only knows that their work takes its time.
//
// Unimplemented: an all-reduce by another library, whose messages nobody here knows.
absl::StatusOr<SimulatedStep> SimulateStep(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                           Costs costs);

// The reason why a run cannot be predicted, the same as SimulateStep's; OK where it can.
absl::Status CheckPredictable(const RunSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATE_H_
