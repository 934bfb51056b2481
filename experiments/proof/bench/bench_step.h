#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_STEP_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_STEP_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Another framework's training of the same model: a program that speaks as step_pytorch.py does.
struct StepPeer {
  std::string name;                      // "pytorch ddp"
  std::vector<std::string> arguments;    // its command line
  std::vector<std::string> environment;  // "NAME=value", in addition
};

// What is timed: blocks of training steps, by everybody in turn, so that what slows the machine for
// a while slows all.
struct StepBench {
  // ours: resolved, one a strategy, all of one model, batch and number of workers
  std::vector<RunSpec> runs;
  std::vector<StepPeer> peers;
  int64_t blocks = 0;       // timed ones of each; one more comes before them
  int64_t block_steps = 0;  // timed ones of each block
  // the first ones of each block: the others' data have taken the caches
  int64_t skipped_steps = 2;
};

// Steps that a run of ours needs for the benchmark.
int64_t StepsOf(const StepBench& bench);

// One contender's times: milliseconds a step, by block.
struct StepTimes {
  std::string name;  // of the arm, or of the peer
  bool ours = false;
  std::vector<double> step_ms;
  RunRecord record;      // ours: with summary
  std::string handicap;  // a peer's: what keeps it from its usual speed; empty: nothing known
};

// The PyTorch twin of `run`, by the script that is built in: DistributedDataParallel over gloo, or
// its RPC parameter server for a central parameter server. As shipped and, on a processor with
// AVX-512, with OpenBLAS told to take its AVX-512 kernels. `python`: the interpreter, by name or
// path. InvalidArgument: a model that has no twin there.
absl::StatusOr<std::vector<StepPeer>> PyTorchPeers(const RunSpec& run, const std::string& python);

// Starts everybody, lets them take turns, and returns the times in the order of runs and peers.
// Every contender is a group of processes of its own that lives until the end, and sleeps while it
// is not its turn. Errors: a contender that fails, a peer whose model has another number of
// parameters; FailedPrecondition: a peer that is not installed, with what to install; Cancelled:
// `interrupted` has been set.
absl::StatusOr<std::vector<StepTimes>> RunStepBench(const StepBench& bench,
                                                    const std::atomic<bool>& interrupted);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_STEP_H_
