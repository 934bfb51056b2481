#include "worker/loop/host_replica.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<HostReplica>> HostReplica::Create(const RunSpec& spec,
                                                                 const ParamLayout& layout,
                                                                 int32_t rank,
                                                                 std::vector<float> weights,
                                                                 PhaseTimes& times) {
  RM_CHECK(static_cast<int64_t>(weights.size()) == layout.count());
  RM_ASSIGN_OR_RETURN(UpdateShare share, UpdateShareOf(spec, layout, rank));
  return std::unique_ptr<HostReplica>(
      new HostReplica(layout, std::move(weights), CreateUpdateRule(std::move(share.plan)),
                      std::move(share.slices), share.global_batch, times));
}

void HostReplica::Replace(std::vector<float>* weights) {
  RM_CHECK(weights->size() == weights_.size());
  weights_.swap(*weights);
  ++version_;
}

absl::Span<float> HostReplica::Edit() {
  ++version_;
  return absl::MakeSpan(weights_);
}

absl::Status HostReplica::ApplyAfter(int64_t samples_seen, int64_t step,
                                     absl::Span<const BucketGradient> average) {
  Tell(step, average);
  ScopedPhase phase(times_, Phase::kUpdate);
  float clip = 1;
  if (rule_->clips()) {
    double sum = 0;
    for (const Bucket& bucket : layout_.buckets())
      sum += rule_->SumOfSquares(bucket.begin, average[bucket.id].host());
    clip = rule_->ClipFactor(sum);
  }
  for (const UpdateShare::Slice& slice : slices_) {
    const Range& elements = slice.elements;
    const int64_t in_bucket = elements.begin - layout_.buckets()[slice.bucket].begin;
    rule_->Apply({elements.begin, samples_seen, step, clip},
                 average[slice.bucket].host().subspan(in_bucket, elements.count),
                 absl::MakeSpan(weights_).subspan(elements.begin, elements.count));
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
