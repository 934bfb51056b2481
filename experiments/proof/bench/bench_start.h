#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_START_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_START_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What a process has taken of its machine. Bytes.
struct ProcessCosts {
  double cpu_seconds = 0;     // of all its threads, the kernel's work for them included
  int64_t memory_bytes = 0;   // proportional: what processes share is divided among them (PSS)
  int64_t address_bytes = 0;  // of all mappings
  int64_t largest_mapping_bytes = 0;
};

// From /proc. Absent: it has ended, or is another user's.
std::optional<ProcessCosts> CostsOf(int64_t pid);

// The start of one run on this machine.
struct StartCosts {
  std::string name;  // of the arm
  // from before its first process until every worker stands before its first step
  double seconds = 0;
  double cpu_seconds = 0;             // until then, all processes together
  std::vector<ProcessCosts> workers;  // by rank, after two steps; cpu_seconds up to there
  std::vector<ProcessCosts> servers;  // the same of servers with a process of their own
  RunRecord record;
};

// Steps that a run needs for the benchmark.
inline constexpr int64_t kStartSteps = 4;

// Runs `spec`, resolved and of kStartSteps steps, and looks at its processes on the way. Errors: a
// run that fails; Cancelled: `interrupted` has been set.
absl::StatusOr<StartCosts> MeasureStart(const RunSpec& spec, const std::atomic<bool>& interrupted);

// `bench start` as text, a row a run, and as one JSON object without a line's end. Pure. `starts`
// is not empty.
std::string StartTable(absl::Span<const StartCosts> starts);
std::string StartJson(absl::Span<const StartCosts> starts);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_START_H_
