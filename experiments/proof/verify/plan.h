#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PLAN_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The runs of `ringmaster verify`, as resolved specs. A spec's name tells it apart in messages.
// Pure, thread-safe.

inline constexpr int64_t kTwoWorkerSteps = 100;
inline constexpr int64_t kSmallSteps = 20;

// One combination of settings that must not change the result when sums are exact.
struct Setting {
  int32_t workers = 0;
  const char* exchange = "";  // a collective, or "parameter_server"
  int32_t servers = 0;        // 0 for collectives
  bool colocated = false;
  int64_t bucket_bytes = 0;
  const char* transport = "";
};

// A covering list: any two values of different columns that can occur together do so in some row
// (among the rows with a collective, and among those with servers). One row per number of workers
// has all workers in one process.
absl::Span<const Setting> CoveringSettings();

// lenet on `data`, two workers, 100 steps: single, dp, ps, ps-sharded and an all-reduce by every
// collective, and some of them again over shared memory. `kernels` names the kernel library.
absl::StatusOr<std::vector<RunSpec>> TwoWorkerRuns(const DataSpec& data, const std::string& kernels,
                                                   uint64_t seed);

// A small model on synthetic samples, exact sums: single, then every covering setting with that
// number of workers.
absl::StatusOr<std::vector<RunSpec>> ExactSumRuns(int32_t workers, uint64_t seed);

// The same model with ordinary sums and reported weights: single, then ring, ps and direct; the
// learning rate is low enough for OrderBound.
absl::StatusOr<std::vector<RunSpec>> RoundedSumRuns(int32_t workers, uint64_t seed);

// All-reduce runs of three workers, one for each codec that loses something.
absl::StatusOr<std::vector<RunSpec>> CodecRuns(uint64_t seed);

// The small model, three workers: ring, then every arm whose workers exchange weights, each of
// which does so at least once.
absl::StatusOr<std::vector<RunSpec>> WeightRuns(uint64_t seed);

// The small model, three workers: ring, then every arm whose updates are made on arrival.
absl::StatusOr<std::vector<RunSpec>> ArrivalRuns(uint64_t seed);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PLAN_H_
