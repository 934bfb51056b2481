#include "tests/experiments/study/predict/cluster_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/codec/small_tensors.h"
#include "common/codec/stream.h"
#include "common/collective/collective_core.h"
#include "common/config/describe.h"
#include "common/exchange/parts.h"
#include "common/scheme/registry.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

template <typename T>
T ValueOf(absl::StatusOr<T> value) {
  RM_CHECK(value.ok());
  return *std::move(value);
}

absl::Span<std::byte> BytesOf(absl::Span<float> floats) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(floats.data()), floats.size() * sizeof(float));
}

absl::Span<const float> FloatsOf(const std::vector<std::byte>& bytes) {
  return absl::MakeConstSpan(reinterpret_cast<const float*>(bytes.data()),
                             bytes.size() / sizeof(float));
}

bool KeepsDelivered(const SchemeTraits& traits) {
  return traits.updates == Updates::kOnArrival && !traits.staleness_bound.has_value() &&
         traits.local_steps == 0;
}

}  // namespace

WorkerMemory::WorkerMemory(const RunSpec& spec, const ParamLayout& layout,
                           const std::vector<float>& initial_weights, int32_t rank,
                           const GradientOfWeights& gradient, const StepObserver& observe)
    : spec_(spec),
      layout_(layout),
      rank_(rank),
      servers_(std::max(1, TraitsOf(spec).servers)),
      keeps_(KeepsDelivered(TraitsOf(spec))),
      gradient_(gradient),
      observe_(observe),
      traits_(*CodecTraitsOf(spec.codec())),
      codec_(traits_.in_rounds ? nullptr : ValueOf(CreateCodecOf(spec.codec(), layout, servers_))),
      memory_(traits_.in_rounds
                  ? nullptr
                  : CreateCodecMemory(*codec_, {layout.count(), spec.training().workers()},
                                      spec.codec())),
      reducer_(traits_.in_rounds
                   ? ValueOf(FindReducer(spec.codec().name())
                                 ->create(spec.codec(), layout, spec.training().seed()))
                   : nullptr),
      rounds_(layout.buckets().size()),
      update_(ValueOf(
          CreateUpdateRule(spec.optimizer(), {layout.count(), spec.training().workers(), {}, {}}))),
      front_(initial_weights),
      back_(initial_weights.size(), NAN),
      arriving_(initial_weights.size(), NAN),
      base_(initial_weights),
      flights_(CollectiveLimits().in_flight_max) {
  for (int parity = 0; parity < 2; ++parity) {
    gradients_[parity].resize(layout.count());
    encoded_[parity].resize(servers_ * layout.buckets().size());
  }
}

absl::Span<float> WorkerMemory::Gradient(int64_t step, int32_t bucket) {
  const Bucket& slice = layout_.buckets()[bucket];
  return absl::MakeSpan(gradients_[step % 2]).subspan(slice.begin, slice.count);
}

void WorkerMemory::Compute(int64_t step) {
  observe_(rank_, step);
  computed_ = step;
  for (const Bucket& bucket : layout_.buckets())
    gradient_(rank_, step, front_, bucket, Gradient(step, bucket.id));
}

// In bucket order, as a replica does (worker/strategy/replica.h), of each what the worker updates.
void WorkerMemory::Update(int64_t step) {
  const SchemeTraits traits = TraitsOf(spec_);
  std::vector<Range> updated;
  if (traits.updated != nullptr) {
    updated = traits.updated(layout_, traits.workers, rank_);
  } else {
    for (const Bucket& bucket : layout_.buckets()) updated.push_back({bucket.begin, bucket.count});
  }
  const absl::Span<float> gradients = absl::MakeSpan(gradients_[step % 2]);
  for (const Range& range : updated) {
    update_->Apply({range.begin, step * GlobalBatch(spec_), step},
                   gradients.subspan(range.begin, range.count),
                   absl::MakeSpan(front_).subspan(range.begin, range.count));
  }
}

void WorkerMemory::Encode(int64_t step, int32_t bucket) {
  if (traits_.in_rounds) {
    rounds_[bucket] = reducer_->Begin(step, bucket, Gradient(step, bucket));
    return;
  }
  const Bucket& slice = layout_.buckets()[bucket];
  std::vector<std::byte>& out = encoded_[0][bucket];
  out.resize(codec_->MaxEncodedBytes(slice.count));
  out.resize(
      memory_->Encode(BucketStream(spec_.training().seed(),
                                   {step, step * spec_.training().workers() + rank_}, bucket),
                      slice.begin, Gradient(step, bucket), absl::MakeSpan(out)));
}

void WorkerMemory::Start(int32_t place, int64_t step, int32_t bucket, const Plan& plan) {
  const absl::Span<float> gradient = Gradient(step, bucket);
  const absl::Span<std::byte> data = traits_.in_rounds ? BytesOf(rounds_[bucket].floats)
                                     : traits_.exact   ? BytesOf(gradient)
                                                       : absl::MakeSpan(encoded_[0][bucket]);
  StartOn(data, plan, &flights_[place]);
  flights_[place].gradient = gradient;
  flights_[place].bucket = bucket;
  flights_[place].stream = SharedBucketStream(spec_.training().seed(), step, bucket);
}

void WorkerMemory::StartWeights(int32_t place, int32_t bucket, const Plan& plan) {
  const Bucket& slice = layout_.buckets()[bucket];
  StartOn(BytesOf(absl::MakeSpan(front_).subspan(slice.begin, slice.count)), plan,
          &flights_[place]);
}

void WorkerMemory::StartOn(absl::Span<std::byte> data, const Plan& plan, Flight* started) const {
  Flight& flight = *started;
  flight.plan = &plan;
  flight.data = data;
  flight.scratch.assign(plan.scratch_bytes, std::byte{0xff});
  flight.received.assign(spec_.training().workers(), {});
}

absl::Span<std::byte> WorkerMemory::Scratch(Flight& flight, int32_t receive) const {
  const PlanOp& op = flight.plan->ops[receive];
  return absl::MakeSpan(flight.scratch).subspan(op.to, op.bytes);
}

absl::Span<std::byte> WorkerMemory::Target(Flight& flight, const PlanOp& op) const {
  return op.to_scratch ? Scratch(flight, op.to_receive) : flight.data.subspan(op.to, op.bytes);
}

void WorkerMemory::AddBytes(absl::Span<const std::byte> from, absl::Span<std::byte> to) const {
  RM_CHECK(from.size() == to.size());
  if (traits_.in_rounds || traits_.summable_as == ElementType::kFloat32) {
    ringmaster::Add(
        absl::MakeConstSpan(reinterpret_cast<const float*>(from.data()), from.size() / 4),
        absl::MakeSpan(reinterpret_cast<float*>(to.data()), to.size() / 4));
    return;
  }
  const auto add = codec_->traits().summable_as == ElementType::kFloat16 ? AddFloat16 : AddBfloat16;
  add(absl::MakeConstSpan(reinterpret_cast<const uint16_t*>(from.data()), from.size() / 2),
      absl::MakeSpan(reinterpret_cast<uint16_t*>(to.data()), to.size() / 2));
}

Payload WorkerMemory::Send(int32_t place, const PlanOp& op) {
  const Flight& flight = flights_[place];
  return PayloadOf(op.kind == PlanOp::Kind::kGatherSend ? flight.data
                                                        : flight.data.subspan(op.to, op.bytes));
}

void WorkerMemory::Receive(int32_t place, const PlanOp& op, const Payload& payload) {
  Flight& flight = flights_[place];
  if (op.kind == PlanOp::Kind::kGatherReceive) {
    flight.received[op.peer] = payload->bytes;
  } else if (op.kind == PlanOp::Kind::kReceiveAdd) {
    AddBytes(payload->bytes, Target(flight, op));
  } else {
    const absl::Span<std::byte> target = Target(flight, op);
    RM_CHECK(payload->bytes.size() == target.size());
    std::copy(payload->bytes.begin(), payload->bytes.end(), target.begin());
  }
}

void WorkerMemory::Add(int32_t place, const PlanOp& op) {
  Flight& flight = flights_[place];
  AddBytes(Scratch(flight, op.from_receive), Target(flight, op));
}

void WorkerMemory::Finish(int32_t place) {
  Flight& flight = flights_[place];
  if (traits_.in_rounds) {
    rounds_[flight.bucket] = ValueOf(reducer_->Summed(flight.bucket));
    return;
  }
  if (traits_.exact) return;
  if (traits_.summable_as.has_value()) {
    RM_CHECK(codec_->Decode(flight.stream, flight.data, flight.gradient).ok());
    return;
  }
  flight.received[rank_].assign(flight.data.begin(), flight.data.end());
  for (size_t rank = 0; rank < flight.received.size(); ++rank) {
    const std::vector<std::byte>& bytes = flight.received[rank];
    RM_CHECK((rank == 0 ? codec_->Decode(flight.stream, bytes, flight.gradient)
                        : codec_->DecodeAdd(flight.stream, bytes, flight.gradient))
                 .ok());
  }
  if (codec_->traits().majority_vote) ReplaceBySigns(absl::MakeSpan(flight.gradient));
}

void WorkerMemory::MeasureDistance() {
  distance_.resize(front_.size());
  ScaledDifference(1.0f / static_cast<float>(spec_.training().workers()), front_, base_,
                   absl::MakeSpan(distance_));
}

Payload WorkerMemory::Push(int32_t server, int64_t exchange, int32_t bucket) {
  // A worker that skips steps has one exchange under way.
  const int64_t step = TraitsOf(spec_).backup_workers > 0 ? computed_ : exchange;
  const Bucket& slice = layout_.buckets()[bucket];
  const Range part = PartOnServer(slice, servers_, server);
  const absl::Span<float> gradient =
      distance_.empty() ? Gradient(step, bucket).subspan(part.begin - slice.begin, part.count)
                        : absl::MakeSpan(distance_).subspan(part.begin, part.count);
  if (codec_->traits().exact || part.count == 0) return PayloadOf(BytesOf(gradient));
  std::vector<std::byte>& out = encoded_[step % 2][server * layout_.buckets().size() + bucket];
  out.resize(codec_->MaxEncodedBytes(part.count));
  const CodecStream stream =
      PartStream(spec_.training().seed(), {exchange, step * spec_.training().workers() + rank_},
                 {bucket, server, servers_});
  out.resize(memory_->Encode(stream, part.begin, gradient, absl::MakeSpan(out)));
  return PayloadOf(out);
}

void WorkerMemory::Receive(int32_t server, int32_t bucket, const Payload& payload) {
  const Range part = PartOnServer(layout_.buckets()[bucket], servers_, server);
  const absl::Span<const float> weights = FloatsOf(payload->bytes);
  RM_CHECK(static_cast<int64_t>(weights.size()) == part.count);
  std::copy(weights.begin(), weights.end(), (keeps_ ? arriving_ : back_).begin() + part.begin);
}

void WorkerMemory::Deliver() {
  if (keeps_) arriving_.swap(back_);
}

void WorkerMemory::Swap() {
  front_.swap(back_);
  base_ = front_;
  std::fill(back_.begin(), back_.end(), NAN);  // all of it arrives again
}

ServerMemory::ServerMemory(const RunSpec& spec, const ParamLayout& layout,
                           const std::vector<float>& initial_weights, int32_t index)
    : run_seed_(spec.training().seed()),
      index_(index),
      servers_(TraitsOf(spec).servers),
      parts_(ShardParts(layout, servers_, index)),
      answers_from_shard_(TraitsOf(spec).updates == Updates::kTogether &&
                          TraitsOf(spec).backup_workers == 0),
      codec_(ValueOf(CreateCodecOf(spec.codec(), layout, servers_))),
      weights_(GatherShard(parts_, initial_weights)),
      replies_(spec.training().workers(), weights_),
      inbox_(spec.training().workers()) {
  int64_t begin = 0;
  for (const Range& part : parts_) {
    begins_.push_back(begin);
    begin += part.count;
    for (auto& of_worker : inbox_) of_worker.emplace_back(part.count, NAN);
  }
}

absl::Span<const float> ServerMemory::Decode(int32_t worker, int32_t part, int64_t step,
                                             const Payload& payload) {
  std::vector<float>& into = inbox_[worker][part];
  if (codec_->traits().exact || into.empty()) {
    const absl::Span<const float> gradient = FloatsOf(payload->bytes);
    RM_CHECK(gradient.size() == into.size());
    std::copy(gradient.begin(), gradient.end(), into.begin());
  } else {
    RM_CHECK(codec_
                 ->Decode(SharedPartStream(run_seed_, step, {part, index_, servers_}),
                          payload->bytes, absl::MakeSpan(into))
                 .ok());
  }
  return into;
}

void ServerMemory::Return(int32_t worker, int32_t part) {
  std::fill(inbox_[worker][part].begin(), inbox_[worker][part].end(), NAN);
}

void ServerMemory::Copy(int32_t worker, const Tag& tag) {
  if (tag.kind != MessageKind::kWeights) {
    replies_[worker] = weights_;
    return;
  }
  const auto begin = weights_.begin() + begins_[tag.bucket];
  std::copy_n(begin, parts_[tag.bucket].count, replies_[worker].begin() + begins_[tag.bucket]);
}

Payload ServerMemory::Send(int32_t worker, int32_t part) {
  std::vector<float>& from = answers_from_shard_ ? weights_ : replies_[worker];
  return PayloadOf(BytesOf(absl::MakeSpan(from).subspan(begins_[part], parts_[part].count)));
}

}  // namespace ringmaster
