#ifndef RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_JUDGE_H_
#define RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_JUDGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/run_spec.pb.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// The arm for tests of schemes, resolved: few steps, in which all exchange and some are left for a
// drain. Delays are compensated by nothing and no worker is a backup: what these change is the
// server's, and judged there (shard_judges.h).
RunSpec JudgedSpec(const std::string& arm, int32_t workers, const std::string& optimizer);

// What every worker ends with, after a drain.
struct SchemeRun {
  std::vector<std::vector<float>> replicas, models;  // by rank
  std::vector<std::optional<double>> distances;      // from the model, as they tell it
};

// Runs the spec of JudgedSpec on threads, real strategies and servers, by gradients that pull each
// worker elsewhere, and by noise; by noise alone where updates come in no order.
// `create` stands in for the real strategies; absent: they run themselves.
absl::StatusOr<SchemeRun> RunScheme(const RunSpec& spec, const StrategyFactory& create = nullptr);

// Runs the arm with 2, 3 and 4 workers (with one, where a center on servers goes to each in turn
// and the order decides), with plain SGD and with momentum where it may have it, and holds what
// every worker ends with against the scheme's definition (scheme_oracle.h):
//   - its replica and its model, element by element, within the rounding of so many float steps;
//   - that all workers have the same bits of the model, and of the replica where traits say so;
//   - how far it says that it is from the model, where workers are around one.
// REQUIRES: an arm that exchanges, without a lossy codec. FailedPrecondition says in which setting
// what was found.
absl::Status JudgeScheme(const std::string& arm, const StrategyFactory& create = nullptr);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_JUDGE_H_
