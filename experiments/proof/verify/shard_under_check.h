#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_SHARD_UNDER_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_SHARD_UNDER_CHECK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/update/update_rule.h"
#include "server/shard_core.h"

namespace ringmaster {

// What the schedules drive: a ShardCore, or something that claims to behave like one. The methods
// are ShardCore's.
class ShardUnderCheck {
 public:
  virtual ~ShardUnderCheck() = default;
  virtual absl::Status OnPush(const Push& push, std::vector<Reply>* ready) = 0;
  virtual absl::Status OnPull(const Pull& pull, std::vector<Reply>* ready) = 0;
  virtual void OnSent(int32_t worker) = 0;
  virtual absl::Span<const float> weights() const = 0;
  virtual absl::Span<const int64_t> versions() const = 0;
  virtual absl::Span<const int64_t> staleness_histogram() const = 0;
};

using ShardFactory = std::function<std::unique_ptr<ShardUnderCheck>(
    const ShardPlan& plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)>;

// The ShardCore itself.
std::unique_ptr<ShardUnderCheck> MakeShardCore(const ShardPlan& plan,
                                               std::unique_ptr<UpdateRule> update,
                                               std::vector<float> weights);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_SHARD_UNDER_CHECK_H_
