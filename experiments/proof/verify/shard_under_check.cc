#include "experiments/proof/verify/shard_under_check.h"

#include <utility>

namespace ringmaster {
namespace {

class RealShard : public ShardUnderCheck {
 public:
  RealShard(const ShardPlan& plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
      : core_(plan, std::move(update), std::move(weights)) {}

  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    return core_.OnPush(push, ready);
  }
  absl::Status OnPull(const Pull& pull, std::vector<Reply>* ready) override {
    return core_.OnPull(pull, ready);
  }
  void OnSent(int32_t worker) override { core_.OnSent(worker); }
  absl::Span<const float> weights() const override { return core_.weights(); }
  absl::Span<const int64_t> versions() const override { return core_.versions(); }
  absl::Span<const int64_t> staleness_histogram() const override {
    return core_.staleness_histogram();
  }

 private:
  ShardCore core_;
};

}  // namespace

std::unique_ptr<ShardUnderCheck> MakeShardCore(const ShardPlan& plan,
                                               std::unique_ptr<UpdateRule> update,
                                               std::vector<float> weights) {
  return std::make_unique<RealShard>(plan, std::move(update), std::move(weights));
}

}  // namespace ringmaster
