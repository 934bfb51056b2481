#include "experiments/study/simulate/equal_replicas.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/element_type.h"
#include "common/base/status_macros.h"
#include "common/codec/stream.h"
#include "common/vecmath/element_bytes.h"
#include "common/vecmath/vecmath.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {
bool EqualReplicas::Serve(const SchemeTraits& scheme, const CodecTraits& codec) {
  return !scheme.collective.empty() && scheme.replicas == Replicas::kEqualAfterStep &&
         scheme.exchanged == Exchanged::kGradients && scheme.exchange_every == 1 &&
         scheme.updated == nullptr && !codec.in_rounds;
}

EqualReplicas::EqualReplicas(const ParamLayout& layout, const AllReducePlan& plan,
                             Decoding decoding)
    : layout_(layout),
      plan_(plan),
      ranks_(plan.scheme.workers),
      decoding_(std::move(decoding)),
      traits_(decoding_.codec->traits()),
      updates_(ranks_) {}

absl::StatusOr<std::unique_ptr<EqualReplicas>> EqualReplicas::Create(
    const RunSpec& spec, const ParamLayout& layout, const AllReducePlan& plan,
    const std::vector<float>& initial_weights, Decoding decoding) {
  std::unique_ptr<EqualReplicas> replicas(new EqualReplicas(layout, plan, std::move(decoding)));
  RM_ASSIGN_OR_RETURN(replicas->replica_, HostReplica::Create(spec, layout, /*rank=*/0,
                                                              initial_weights, replicas->times_));
  replicas->versions_.push_back({{}, replicas->ranks_});
  return replicas;
}

absl::Span<const float> EqualReplicas::weights(int32_t rank) const {
  const auto version = static_cast<size_t>(updates_[rank] - oldest_);
  if (version + 1 == versions_.size()) return replica_->weights().host();
  return versions_[version].weights;
}

EqualReplicas::Exchange& EqualReplicas::ExchangeOf(int64_t step) {
  const auto known = exchanges_.find(step);
  if (known != exchanges_.end()) return known->second;
  Exchange exchange;
  if (!spare_.empty()) {
    exchange = std::move(spare_.back());
    spare_.pop_back();
  }
  const size_t buckets = layout_.buckets().size();
  exchange.data.assign(buckets, {});
  exchange.started.assign(buckets, 0);
  exchange.summed.assign(buckets, false);
  exchange.average.resize(layout_.count());
  return exchanges_[step] = std::move(exchange);
}

void EqualReplicas::Start(int32_t rank, int64_t step, int32_t bucket,
                          absl::Span<const std::byte> data) {
  Exchange& exchange = ExchangeOf(step);
  exchange.data[bucket].resize(ranks_);
  exchange.data[bucket][rank] = data;
  ++exchange.started[bucket];
}

absl::Status EqualReplicas::Finish(int64_t step, int32_t bucket) {
  if (step < made()) return absl::OkStatus();
  Exchange& exchange = ExchangeOf(step);
  if (exchange.summed[bucket]) return absl::OkStatus();
  exchange.summed[bucket] = true;
  return Sum(step, bucket, exchange);
}

const PlannedSum& EqualReplicas::SumOf(int32_t bucket) {
  const auto& plans = plan_.buckets[bucket].rounds.front().plans;
  RM_CHECK(plans.size() == 1);
  return sums_.Of(*plans.front());
}

absl::Status EqualReplicas::Sum(int64_t step, int32_t bucket, Exchange& exchange) {
  const std::vector<absl::Span<const std::byte>>& data = exchange.data[bucket];
  RM_CHECK(exchange.started[bucket] == ranks_);
  const Bucket& slice = layout_.buckets()[bucket];
  const absl::Span<float> average =
      absl::MakeSpan(exchange.average).subspan(slice.begin, slice.count);
  if (traits_.exact) {
    SumOf(bucket).Run(ElementType::kFloat32, data, BytesOf(average));
    return absl::OkStatus();
  }
  const SharedStream stream = SharedBucketStream(decoding_.seed, step, bucket);
  if (traits_.summable_as.has_value()) {
    std::vector<std::byte> sum(data.front().size());
    SumOf(bucket).Run(*traits_.summable_as, data, absl::MakeSpan(sum));
    return decoding_.codec->Decode(stream, sum, average);
  }
  RM_RETURN_IF_ERROR(decoding_.codec->Decode(stream, data.front(), average));
  for (size_t rank = 1; rank < data.size(); ++rank)
    RM_RETURN_IF_ERROR(decoding_.codec->DecodeAdd(stream, data[rank], average));
  if (traits_.majority_vote) ReplaceBySigns(average);
  return absl::OkStatus();
}

absl::Status EqualReplicas::Update(int32_t rank, int64_t step) {
  RM_CHECK(updates_[rank] == step);
  if (step == made()) RM_RETURN_IF_ERROR(MakeVersion(step));
  --versions_[step - oldest_].ranks;
  ++versions_[step - oldest_ + 1].ranks;
  ++updates_[rank];
  return absl::OkStatus();
}

absl::Status EqualReplicas::MakeVersion(int64_t step) {
  const auto exchange = exchanges_.find(step);
  RM_CHECK(exchange != exchanges_.end());
  std::vector<BucketGradient> average;
  for (const Bucket& bucket : layout_.buckets()) {
    RM_CHECK(exchange->second.summed[bucket.id]);
    average.push_back(BucketGradient::OnHost(
        absl::MakeSpan(exchange->second.average).subspan(bucket.begin, bucket.count)));
  }
  // Others may still compute from the weights as they are: the copy is updated.
  const absl::Span<const float> now = replica_->weights().host();
  std::vector<float> copy;
  if (versions_.size() > 1 && versions_.front().ranks == 0) {
    copy = std::move(versions_.front().weights);
    versions_.pop_front();
    ++oldest_;
  }
  copy.assign(now.begin(), now.end());
  replica_->Replace(&copy);
  versions_.back().weights = std::move(copy);
  versions_.emplace_back();
  RM_RETURN_IF_ERROR(replica_->Apply(step, average));
  spare_.push_back(std::move(exchange->second));
  exchanges_.erase(exchange);
  return absl::OkStatus();
}

}  // namespace ringmaster
