#ifndef RINGMASTER_TESTS_CONTRACT_SCHEMES_SHARD_JUDGES_H_
#define RINGMASTER_TESTS_CONTRACT_SCHEMES_SHARD_JUDGES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "experiments/proof/verify/shard_under_check.h"

namespace ringmaster {

// What is the server's part of a scheme, held against its definition in double precision, under
// arrivals in random order: after each, every weight and version. FailedPrecondition says what was
// found, other statuses are the shard's.

// Backup workers: each part of a step is updated by the average of the first N - b gradients to
// come; those that come later, or in a later step, change nothing.
absl::Status JudgeBackup(const ShardFactory& factory);

// Delay compensation, constant and adaptive: a gradient g of one worker, computed at w0 and applied
// at w, becomes g + lambda g^2 (w - w0), and adaptively lambda / sqrt(m + 1e-7) of it.
absl::Status JudgeCompensation(const ShardFactory& factory);

// A broken shard of one arm, what is wrong with it, and the judge that must find it.
struct ShardTwin {
  std::string arm;
  std::string what;
  absl::Status (*judge)(const ShardFactory& factory);
  ShardFactory create;
};
std::vector<ShardTwin> ShardTwins();

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_SCHEMES_SHARD_JUDGES_H_
