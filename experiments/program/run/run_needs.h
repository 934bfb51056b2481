#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_NEEDS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_NEEDS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The bucket layout of the model of `spec`, which is resolved, as every rank builds it, and how
// many parameters it has. Errors:
// those of its data set and its model.
absl::StatusOr<ParamLayout> LayoutOf(const RunSpec& spec);
absl::StatusOr<int64_t> ParameterCount(const RunSpec& spec);

// Address space that a rank of `spec` takes at least, in bytes: libraries, threads, generated code,
// arenas and, over shared memory, what each pair of processes has. Pure.
int64_t LeastAddressSpace(const RunSpec& spec, int64_t parameters);

// Whether a process under this one's limit of address space (ulimit -v) can be a rank of `spec`.
// ResourceExhausted names the limit, its value and the need; without a limit it costs nothing and
// is OK. What a run takes beyond the least is found out when it takes it.
absl::Status CheckAddressSpace(const RunSpec& spec);

// What the memory of a run follows from, beside its spec.
struct MemoryFacts {
  int64_t parameters = 0;
  int64_t train_samples = 0;
  int64_t test_samples = 0;
  int64_t sample_bytes = 0;      // of one sample and its labels, as it lies in memory
  int64_t optimizer_arrays = 0;  // that the update rule keeps, of all parameters each
  // of each worker, where the codec is summed in rounds
  int64_t reducer_bytes = 0;
};

// Facts of `spec`, which is resolved, from its files' headers. Errors: those of its data set and
// its model.
absl::StatusOr<MemoryFacts> MemoryFactsOf(const RunSpec& spec);

// Bytes of all processes of a run together, by what they are for.
struct MemoryPlan {
  int64_t programs = 0;   // code, libraries, threads, connections
  int64_t weights = 0;    // initial ones, replicas, those that arrive, servers'
  int64_t gradients = 0;  // two steps' of each worker; a server's sums and what it receives
  int64_t optimizer = 0;
  int64_t codec = 0;  // memory between steps, and encodings
  int64_t marks = 0;  // copies of the weights that are scored after the run
  // states that are being written, those that were gone on from, and steps to go back to
  int64_t checkpoints = 0;
  int64_t train_set = 0;
  int64_t test_set = 0;
  int64_t total() const {
    return programs + weights + gradients + optimizer + codec + marks + checkpoints + train_set +
           test_set;
  }
};

// A first plan, from the sizes of arenas and data alone: what a layer keeps between forward and
// backward is not in it, nor memory of a GPU. Pure, thread-safe.
MemoryPlan PlanMemory(const RunSpec& spec, const MemoryFacts& facts);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_NEEDS_H_
