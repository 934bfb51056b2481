#include "worker/loop/host_replica.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<HostReplica>> HostReplica::Create(const RunSpec& spec,
                                                                 const ParamLayout& layout,
                                                                 std::vector<float> weights,
                                                                 PhaseTimes& times) {
  RM_CHECK(static_cast<int64_t>(weights.size()) == layout.count());
  const TrainingSpec& training = spec.training();
  UpdateScope scope{layout.count(), training.workers() * training.accumulate(), {}};
  scope.statistics.assign(layout.statistics().begin(), layout.statistics().end());
  RM_ASSIGN_OR_RETURN(auto rule, CreateUpdateRule(spec.optimizer(), std::move(scope)));
  return std::unique_ptr<HostReplica>(
      new HostReplica(layout, std::move(weights), std::move(rule), GlobalBatch(spec), times));
}

void HostReplica::Replace(std::vector<float>* weights) {
  RM_CHECK(weights->size() == weights_.size());
  weights_.swap(*weights);
  ++version_;
}

absl::Status HostReplica::Apply(int64_t step, absl::Span<const BucketGradient> average) {
  if (observer_) observer_(step, average);
  ScopedPhase phase(times_, Phase::kUpdate);
  float clip = 1;
  if (rule_->clips()) {
    double sum = 0;
    for (const Bucket& bucket : layout_.buckets())
      sum += rule_->SumOfSquares(bucket.begin, average[bucket.id].host());
    clip = rule_->ClipFactor(sum);
  }
  for (const Bucket& bucket : layout_.buckets()) {
    rule_->Apply({bucket.begin, step * global_batch_, step, clip}, average[bucket.id].host(),
                 absl::MakeSpan(weights_).subspan(bucket.begin, bucket.count));
  }
  ++version_;
  return absl::OkStatus();
}

absl::StatusOr<State> HostReplica::Give() const {
  State state;
  state.AddFloats("weights", weights_);
  state.AddPart("rule", rule_->Give());
  return state;
}

absl::Status HostReplica::Take(const State& state) {
  State own = state;
  const State rule = own.TakePart("rule");
  std::vector<float> weights(weights_.size());
  RM_RETURN_IF_ERROR(own.CopyTo({{"weights", absl::MakeSpan(weights)}}));
  RM_RETURN_IF_ERROR(rule_->Take(rule));
  Replace(&weights);
  return absl::OkStatus();
}

}  // namespace ringmaster
