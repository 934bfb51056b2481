#ifndef RINGMASTER_WORKER_LOOP_HOST_REPLICA_H_
#define RINGMASTER_WORKER_LOOP_HOST_REPLICA_H_

#include <cstdint>
#include <functional>
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
#include "proto/run_spec.pb.h"
#include "worker/strategy/replica.h"

namespace ringmaster {

// Weights in the host's memory, updated there.
class HostReplica final : public Replica {
 public:
  // Told each averaged gradient before it is applied, on no clock.
  using Observer = std::function<void(int64_t step, absl::Span<const BucketGradient> average)>;

  // With the update rule of the resolved `spec`, whose errors it has. `layout` and `times`, to
  // which updates add, outlive it.
  static absl::StatusOr<std::unique_ptr<HostReplica>> Create(const RunSpec& spec,
                                                             const ParamLayout& layout,
                                                             std::vector<float> weights,
                                                             PhaseTimes& times);

  // Before the first update. Absent: nobody asks.
  void Observe(Observer observer) { observer_ = std::move(observer); }

  WeightsView weights() const override { return WeightsView::OnHost(weights_, version_); }
  void Replace(std::vector<float>* weights) override;
  absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) override;
  // The array "weights", and the rule's as the part "rule".
  absl::StatusOr<State> Give() const override;
  absl::Status Take(const State& state) override;

 private:
  HostReplica(const ParamLayout& layout, std::vector<float> weights,
              std::unique_ptr<UpdateRule> rule, int64_t global_batch, PhaseTimes& times)
      : layout_(layout),
        rule_(std::move(rule)),
        global_batch_(global_batch),
        times_(times),
        weights_(std::move(weights)) {}

  const ParamLayout& layout_;
  const std::unique_ptr<UpdateRule> rule_;
  const int64_t global_batch_;
  PhaseTimes& times_;
  Observer observer_;
  std::vector<float> weights_;
  int64_t version_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_HOST_REPLICA_H_
