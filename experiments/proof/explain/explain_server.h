#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_SERVER_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_SERVER_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

struct ServerScheme {
  int32_t workers = 2;
  int32_t servers = 1;
  bool colocated = false;  // server k lives beside worker k
  // true: one update from the sum of all workers (BSP). Else an update per arrival, with a bound
  // (SSP) or without.
  bool together = true;
  std::optional<int64_t> staleness_bound;
  // SchemeTraits' (common/scheme/scheme.h); with updates together, or on arrival without a bound.
  int32_t backup_workers = 0;
  int32_t local_steps = 0;
  double attraction = 0;
  bool compensates_delay = false;
  bool votes = false;    // an update is made from the sum's signs; with updates together
  bool encodes = false;  // what is pushed is an encoding
};

// Plays the shard core of server/ with one bucket. BSP: one step, a scene for each worker that
// arrives, late ones last. On arrival: a scene for every step that a worker finishes, until worker
// 0, which computes so much longer than the others that a bound is felt, has finished two. At least
// 2 workers. Errors are the shard core's own. Pure.
absl::StatusOr<Story> ExplainServer(const ServerScheme& scheme);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_SERVER_H_
