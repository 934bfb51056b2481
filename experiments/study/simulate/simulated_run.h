#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SIMULATED_RUN_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SIMULATED_RUN_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "experiments/study/simulate/compute_text.h"
#include "proto/compute_times.pb.h"
#include "proto/kept_sizes.pb.h"

namespace ringmaster {

class RunRecord;
class RunSpec;

// How far a simulated run is.
struct SimulationProgress {
  int64_t steps = 0;  // of worker 0
  double virtual_seconds = 0;
  std::optional<double> test_accuracy;
};

struct SimulationOptions {
  // What a worker's step takes; the same for all ranks but for what the spec slows down.
  StepCompute compute;
  // Of the run's model: what its source says, in place of its mean; absent: it has no source.
  std::optional<ComputeTimes> times;
  // Of the run's encodings: what those take whose size varies, in a run that does not learn.
  std::optional<KeptSizes> sizes;
  // Given what they take in this run, which learns, at its end; its error is the run's. Absent:
  // nobody asks.
  std::function<absl::Status(const KeptSizes& sizes)> keep_sizes;
  // Whether gradients are computed. Else time alone is played.
  bool learns = false;
  // Of these, the ones that compute gradients; all bits are the same for any number.
  int32_t threads = 1;
  // One worker is played and stands for all, where all are alike; and what it exchanges in chunks
  // is rounded up to chunks of one size. Without learning.
  bool merges = false;
  // The run ends at the first mark scored at this or better; absent: at the spec's last step.
  std::optional<double> stop_at_accuracy;
  // Set from elsewhere (a signal handler) to end it.
  const std::atomic<bool>* interrupted = nullptr;
  // Called now and then by the calling thread; absent: nobody asks.
  std::function<void(const SimulationProgress&)> progress;
};

// Whether SimulateRun can play the run, but for what files hold. Unimplemented names what it cannot
// play and what to do; InvalidArgument: the spec has no network, contradicts the options, or the
// times or sizes are of another run. With sizes or keep_sizes errors of its data set's files too.
absl::Status CheckSimulatable(const RunSpec& spec, const SimulationOptions& options);

// Whether `free_bytes` of memory (absent: nobody knows how many) are enough for the run to
// learn. ResourceExhausted says what it takes and what to change. Errors of its data set's files.
absl::Status CheckSimulationMemory(const RunSpec& spec, const SimulationOptions& options,
                                   std::optional<int64_t> free_bytes);

// Plays the whole run `spec` (resolved and valid) in simulated time, in one thread but for the
// gradients: the cores of collectives, workers and servers on the spec's network. Messages take
// what the network says, computing what the options say; codecs and sums take no time,
// and updates only what measured times say.
// Where it learns, every gradient is computed from the weights that its worker holds at that
// moment, so the weights of a synchronous arm are those of real processes to the last bit.
//
// Always returns a record, as RunArm does: its status says what went wrong. Same spec, options and
// files: the same record but for id, date and wall_seconds.
RunRecord SimulateRun(const RunSpec& spec, const SimulationOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SIMULATED_RUN_H_
