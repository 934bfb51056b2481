#ifndef RINGMASTER_WORKER_LOOP_HOST_REPLICA_H_
#define RINGMASTER_WORKER_LOOP_HOST_REPLICA_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/trace/trace.h"
#include "common/update/update_rule.h"
#include "worker/loop/loop_replica.h"
#include "worker/loop/update_share.h"

namespace ringmaster {

class RunSpec;

// Weights in the host's memory, updated there.
class HostReplica final : public LoopReplica {
 public:
  // That of worker `rank`, with the update rule of the resolved `spec`, whose errors it has; the
  // rule keeps state of what that worker updates. `layout` and `times`, to which updates add,
  // outlive it.
  static absl::StatusOr<std::unique_ptr<HostReplica>> Create(const RunSpec& spec,
                                                             const ParamLayout& layout,
                                                             int32_t rank,
                                                             std::vector<float> weights,
                                                             PhaseTimes& times);

  WeightsView weights() const override { return WeightsView::OnHost(weights_, version_); }
  absl::Span<const float> OnHost() const override { return weights_; }
  void Replace(std::vector<float>* weights) override;
  absl::Span<float> Edit() override;
  absl::Status ApplyAfter(int64_t samples_seen, int64_t step,
                          absl::Span<const BucketGradient> gradient) override;
  // The array "weights", and the rule's as the part "rule".
  absl::StatusOr<State> Give() const override;
  absl::Status Take(const State& state) override;

  int64_t state_bytes() const override { return rule_->state_bytes(); }

 private:
  HostReplica(const ParamLayout& layout, std::vector<float> weights,
              std::unique_ptr<UpdateRule> rule, std::vector<UpdateShare::Slice> slices,
              int64_t global_batch, PhaseTimes& times)
      : LoopReplica(global_batch),
        layout_(layout),
        rule_(std::move(rule)),
        slices_(std::move(slices)),
        times_(times),
        weights_(std::move(weights)) {}

  const ParamLayout& layout_;
  const std::unique_ptr<UpdateRule> rule_;
  const std::vector<UpdateShare::Slice> slices_;  // ascending
  PhaseTimes& times_;
  std::vector<float> weights_;
  int64_t version_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_HOST_REPLICA_H_
