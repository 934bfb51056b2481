#ifndef RINGMASTER_TESTS_CONTRACT_CONSISTENCY_FORWARDING_SHARD_H_
#define RINGMASTER_TESTS_CONTRACT_CONSISTENCY_FORWARDING_SHARD_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "experiments/proof/verify/shard_under_check.h"

namespace ringmaster {

// A real shard, whose calls and answers a twin may bend.
class ForwardingShard : public ShardUnderCheck {
 public:
  explicit ForwardingShard(std::unique_ptr<ShardUnderCheck> real) : real_(std::move(real)) {}

  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    return real_->OnPush(push, ready);
  }
  absl::Status OnPull(const Pull& pull, std::vector<Reply>* ready) override {
    return real_->OnPull(pull, ready);
  }
  void OnSent(int32_t worker) override { real_->OnSent(worker); }
  absl::Span<const float> weights() const override { return real_->weights(); }
  absl::Span<const int64_t> versions() const override { return real_->versions(); }
  absl::Span<const int64_t> staleness_histogram() const override {
    return real_->staleness_histogram();
  }

 protected:
  const std::unique_ptr<ShardUnderCheck> real_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_CONSISTENCY_FORWARDING_SHARD_H_
