#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_PLAN_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace ringmaster {

class MemoryNeed;
class RunSpec;

// What the memory of a run follows from, beside its spec.
struct MemoryFacts {
  int64_t parameters = 0;
  int64_t largest_bucket = 0;  // parameters of it
  int64_t buckets = 0;
  int64_t train_samples = 0;
  int64_t test_samples = 0;
  int64_t sample_bytes = 0;        // of one sample and its labels, as it lies in memory
  int64_t batch_bytes = 0;         // of a training batch, ready for the kernels
  int64_t optimizer_arrays = 0;    // that the update rule keeps, of all parameters each
  bool workers_have_gpus = false;  // which then hold the state of what workers update
  // Of each worker, where the codec is summed in rounds.
  int64_t reducer_bytes = 0;
  // Of each worker: what its collectives hold back while their data is on its way out.
  int64_t scratch_bytes = 0;
  int64_t activation_bytes = 0;  // of each worker (ModelMemoryBytes)
};

// Facts of `spec`, which is resolved, from its files' headers. Errors: those of its data set and
// its model.
absl::StatusOr<MemoryFacts> MemoryFactsOf(const RunSpec& spec);

// What each process of a run takes at most, in the order of PlaceNodes, by what it is for. Memory
// that processes of a machine share counts in each by its share, as in a proportional set size
// (PSS), so that the sum is the run's. Without memory of a GPU. What a message takes that comes
// before it is expected is not in it: nobody knows. Pure, thread-safe.
std::vector<MemoryNeed> PlanMemory(const RunSpec& spec, const MemoryFacts& facts);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_PLAN_H_
