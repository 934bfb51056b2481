#include "experiments/study/simulate/learning_nodes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/element_type.h"
#include "common/base/status_macros.h"
#include "common/codec/small_tensors.h"
#include "common/codec/stream.h"
#include "common/collective/collective_core.h"
#include "common/collective/gossip.h"
#include "common/config/describe.h"
#include "common/exchange/parts.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "common/vecmath/element_bytes.h"
#include "common/vecmath/vecmath.h"
#include "worker/strategy/ps/worker_core.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

absl::Span<const float> FloatsOf(const std::vector<std::byte>& bytes) {
  return absl::MakeConstSpan(reinterpret_cast<const float*>(bytes.data()),
                             bytes.size() / sizeof(float));
}

// As the strategy does (worker/strategy/ps).
bool KeepsDelivered(const LearningRun& run, int32_t rank) {
  if (TraitsOf(*run.spec).weights != WeightHolder::kServers) return false;
  const auto buckets = static_cast<int32_t>(run.layout->buckets().size());
  return WorkerPlanOf(*run.spec, rank, buckets).steps_in_flight_max > 1;
}

}  // namespace

CodecSpec GradientCodec(const RunSpec& spec, const SchemeTraits& scheme) {
  if (scheme.workers > 1 || scheme.collective.empty()) return spec.codec();
  CodecSpec none;
  none.set_name(kNoCodec);
  return none;
}

LearningWorker::LearningWorker(const LearningRun& run, int32_t rank)
    : run_(run),
      spec_(*run.spec),
      layout_(*run.layout),
      scheme_(TraitsOf(*run.spec)),
      rank_(rank),
      servers_(std::max(1, scheme_.servers)),
      keeps_(KeepsDelivered(run, rank)),
      traits_(*CodecTraitsOf(GradientCodec(spec_, scheme_))),
      rounds_(layout_.buckets().size()),
      flights_(scheme_.workers, run.watches_memory),
      decodings_(CollectiveLimits().in_flight_max),
      of_equals_(CollectiveLimits().in_flight_max) {
  for (int parity = 0; parity < 2; ++parity) {
    gradients_[parity].resize(layout_.count());
    encoded_[parity].resize(servers_ * layout_.buckets().size());
  }
}

absl::StatusOr<std::unique_ptr<LearningWorker>> LearningWorker::Create(
    const LearningRun& run, const std::vector<float>& initial_weights, int32_t rank) {
  std::unique_ptr<LearningWorker> worker(new LearningWorker(run, rank));
  const CodecSpec codec = GradientCodec(*run.spec, worker->scheme_);
  if (worker->traits_.in_rounds) {
    RM_ASSIGN_OR_RETURN(
        worker->reducer_,
        FindReducer(codec.name())->create(codec, *run.layout, run.spec->training().seed()));
  } else {
    RM_ASSIGN_OR_RETURN(worker->codec_, CreateCodecOf(codec, *run.layout, worker->servers_));
    worker->memory_ = CreateCodecMemory(
        *worker->codec_, {run.layout->count(), run.spec->training().workers()}, codec);
  }
  if (run.equal == nullptr) {
    RM_ASSIGN_OR_RETURN(worker->replica_, HostReplica::Create(*run.spec, *run.layout, rank,
                                                              initial_weights, worker->times_));
  }
  if (worker->scheme_.weights == WeightHolder::kServers) {
    worker->back_.assign(initial_weights.size(), NAN);
    if (worker->keeps_) worker->arriving_ = worker->back_;
  }
  if (worker->scheme_.local_steps > 0) worker->base_ = initial_weights;
  if (worker->scheme_.attraction > 0) worker->center_ = initial_weights;
  if (worker->scheme_.exchanged != Exchanged::kGradients) {
    RM_ASSIGN_OR_RETURN(worker->rule_,
                        CreateWeightRule({run.spec, run.layout, rank, initial_weights}));
  }
  if (worker->scheme_.gossip.has_value() && GoesOn(*run.spec)) {
    worker->neighbours_.emplace(
        NeighbourSeat{*worker->scheme_.gossip, worker->scheme_.workers, rank}, *run.layout);
  }
  if (const CodecSpec* const down = DownCodecOf(*run.spec); down != nullptr) {
    RM_ASSIGN_OR_RETURN(worker->down_codec_, CreateCodecOf(*down, *run.layout, worker->servers_));
    worker->held_ = std::make_unique<HeldWeights>(*worker->down_codec_, initial_weights);
  }
  return worker;
}

absl::StatusOr<State> LearningWorker::Give() const {
  RM_CHECK(replica_ != nullptr && rule_ == nullptr && base_.empty());
  RM_ASSIGN_OR_RETURN(State replica, replica_->Give());
  State state;
  state.AddPart("replica", std::move(replica));
  state.AddPart("memory", reducer_ != nullptr ? reducer_->Give() : memory_->Give());
  if (held_ != nullptr) state.AddFloats("held", held_->values());
  return state;
}

absl::Status LearningWorker::Take(const State& state) {
  State own = state;
  RM_RETURN_IF_ERROR(replica_->Take(own.TakePart("replica")));
  const State memory = own.TakePart("memory");
  // Who is alone encodes nothing, and needs no memory of it.
  if (GradientCodec(spec_, scheme_).name() == spec_.codec().name())
    RM_RETURN_IF_ERROR(reducer_ != nullptr ? reducer_->Take(memory) : memory_->Take(memory));
  if (held_ == nullptr) return own.CopyTo({});
  std::vector<float> held(layout_.count());
  RM_RETURN_IF_ERROR(own.CopyTo({{"held", absl::MakeSpan(held)}}));
  held_->Set(0, held);
  return absl::OkStatus();
}

absl::Span<const float> LearningWorker::model() const {
  if (rule_ != nullptr) return rule_->Model(*replica_).host();
  return center_.empty() ? weights() : center();
}

absl::Span<float> LearningWorker::Slice(int32_t bucket, absl::Span<float> arena) const {
  const Bucket& slice = layout_.buckets()[bucket];
  return arena.subspan(slice.begin, slice.count);
}

absl::Span<float> LearningWorker::Gradient(int64_t step, int32_t bucket) {
  return Slice(bucket, absl::MakeSpan(gradients_[step % 2]));
}

void LearningWorker::Compute(int64_t step, int64_t lot) {
  AwaitGradients();
  if (rule_ != nullptr) rule_->StepBegins();
  step_ = step;
  lot_ = lot;
  computing_ = true;
  run_.gradients->Start({rank_, step, lot, weights(), absl::MakeSpan(gradients_[step % 2])});
}

void LearningWorker::AwaitGradients() {
  if (!std::exchange(computing_, false)) return;
  const absl::StatusOr<double> loss = run_.gradients->Await(rank_);
  Check(loss.status());
  losses_.push_back(static_cast<float>(loss.ok() ? *loss : NAN));
}

void LearningWorker::Update(int64_t step) {
  AwaitGradients();
  ++updates_;
  if (run_.equal != nullptr) return Check(run_.equal->Update(rank_, step));
  std::vector<BucketGradient> average;
  for (const Bucket& bucket : layout_.buckets())
    average.push_back(BucketGradient::OnHost(Gradient(step, bucket.id)));
  if (scheme_.local_steps > 0) {
    const int64_t lot_samples = GlobalBatch(spec_) / spec_.training().workers();
    Check(replica_->ApplyAfter(lot_ * lot_samples, step, average));
  } else if (rule_ != nullptr) {
    Check(rule_->Update(step, average, replica_.get()));
  } else {
    Check(replica_->Apply(step, average));
  }
}

void LearningWorker::Encode(int64_t step, int32_t bucket) {
  AwaitGradients();
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
  if (run_.sizes != nullptr) run_.sizes->Up({step, rank_, /*server=*/0, bucket}, out.size());
}

void LearningWorker::Start(int32_t place, int64_t step, int32_t bucket, const Plan& plan) {
  AwaitGradients();
  const absl::Span<float> gradient = Gradient(step, bucket);
  const absl::Span<std::byte> data = traits_.in_rounds ? BytesOf(rounds_[bucket].floats)
                                     : traits_.exact   ? BytesOf(gradient)
                                                       : absl::MakeSpan(encoded_[0][bucket]);
  if (run_.equal != nullptr) {
    run_.equal->Start(rank_, step, bucket, data);
    const bool gathers = !traits_.exact && !traits_.summable_as.has_value();
    of_equals_[place] = {step, bucket, gathers ? PayloadOf(data) : nullptr};
    return;
  }
  flights_.Start(place, data, plan,
                 traits_.in_rounds ? ElementType::kFloat32 : traits_.summable_as);
  decodings_[place] = {bucket, SharedBucketStream(spec_.training().seed(), step, bucket), gradient};
}

Payload LearningWorker::Send(int32_t place, const PlanOp& op) {
  return run_.equal != nullptr ? of_equals_[place].encoding : flights_.Send(place, op);
}

void LearningWorker::Receive(int32_t place, const PlanOp& op, const Payload& payload) {
  if (run_.equal == nullptr) flights_.Receive(place, op, payload);
}

void LearningWorker::Add(int32_t place, const PlanOp& op) {
  if (run_.equal == nullptr) flights_.Add(place, op);
}

void LearningWorker::StartWeights(int32_t place, int32_t bucket, const Plan& plan) {
  flights_.Start(place, BytesOf(Slice(bucket, replica_->Edit())), plan, ElementType::kFloat32);
}

void LearningWorker::StartCopy(int32_t place, int32_t bucket, const Plan& plan) {
  flights_.Start(place, BytesOf(Slice(bucket, absl::MakeSpan(copy_))), plan, ElementType::kFloat32);
}

void LearningWorker::CopyWeights() {
  copy_.assign(weights().begin(), weights().end());
  if (!neighbours_.has_value()) return;
  for (const Bucket& bucket : layout_.buckets()) {
    const absl::Span<float> data = neighbours_->DataOf(bucket);
    if (run_.watches_memory) std::fill(data.begin(), data.end(), NAN);  // what comes comes anew
  }
  neighbours_->Begin(weights());
}

void LearningWorker::StartApart(int32_t place, int32_t bucket, const Plan& plan) {
  flights_.Start(place, BytesOf(neighbours_->DataOf(layout_.buckets()[bucket])), plan,
                 ElementType::kFloat32);
}

void LearningWorker::TakeSum() {
  AwaitGradients();  // computed from the weights that go
  if (neighbours_.has_value()) {
    const int64_t exchange = step_ / scheme_.exchange_every;
    neighbours_->Sum(
        static_cast<int32_t>(exchange % GossipRounds(*scheme_.gossip, scheme_.workers)), &copy_);
  }
  rule_->TakeSum(&copy_, replica_.get());
}

void LearningWorker::TakeSumOfAll(int32_t workers) {
  Divide(static_cast<float>(workers), absl::MakeSpan(copy_));
  rule_->TakeAverage(&copy_, replica_.get());
}

void LearningWorker::Finish(int32_t place) {
  if (run_.equal != nullptr)
    return Check(run_.equal->Finish(of_equals_[place].step, of_equals_[place].bucket));
  const Decoding& decoding = decodings_[place];
  if (traits_.in_rounds) {
    absl::StatusOr<ReducerRound> next = reducer_->Summed(decoding.bucket);
    Check(next.status());
    rounds_[decoding.bucket] = next.ok() ? *std::move(next) : ReducerRound();
    return;
  }
  if (traits_.exact) return;
  const absl::Span<const std::byte> own = flights_.data(place);
  if (traits_.summable_as.has_value())
    return Check(codec_->Decode(decoding.stream, own, decoding.gradient));
  std::vector<std::vector<std::byte>>& received = flights_.received(place);
  received[rank_].assign(own.begin(), own.end());
  for (size_t rank = 0; rank < received.size(); ++rank) {
    const std::vector<std::byte>& bytes = received[rank];
    Check(rank == 0 ? codec_->Decode(decoding.stream, bytes, decoding.gradient)
                    : codec_->DecodeAdd(decoding.stream, bytes, decoding.gradient));
  }
  if (codec_->traits().majority_vote) ReplaceBySigns(decoding.gradient);
}

void LearningWorker::MeasureDistance() {
  if (scheme_.attraction > 0) {
    distance_.assign(weights().begin(), weights().end());
    return;
  }
  distance_.resize(base_.size());
  ScaledDifference(1.0f / static_cast<float>(spec_.training().workers()), weights(), base_,
                   absl::MakeSpan(distance_));
}

Payload LearningWorker::Push(int32_t server, int64_t exchange, int32_t bucket) {
  AwaitGradients();
  // A worker that skips steps has one exchange under way.
  const int64_t step = scheme_.backup_workers > 0 ? step_ : exchange;
  const Bucket& slice = layout_.buckets()[bucket];
  const Range part = PartOnServer(slice, servers_, server);
  const absl::Span<float> gradient =
      distance_.empty() ? Gradient(step, bucket).subspan(part.begin - slice.begin, part.count)
                        : absl::MakeSpan(distance_).subspan(part.begin, part.count);
  if (codec_->traits().exact) return PayloadOf(BytesOf(gradient), run_.watches_memory);
  std::vector<std::byte>& out = encoded_[step % 2][server * layout_.buckets().size() + bucket];
  out.clear();
  if (part.count > 0) {
    const CodecStream stream =
        PartStream(spec_.training().seed(), {exchange, step * spec_.training().workers() + rank_},
                   {bucket, server, servers_});
    out.resize(codec_->MaxEncodedBytes(part.count));
    out.resize(memory_->Encode(stream, part.begin, gradient, absl::MakeSpan(out)));
  }
  if (run_.sizes != nullptr) run_.sizes->Up({exchange, rank_, server, bucket}, out.size());
  return PayloadOf(out, run_.watches_memory);
}

void LearningWorker::Receive(int32_t server, const Tag& tag, const Payload& payload) {
  const Range part = PartOnServer(layout_.buckets()[tag.bucket], servers_, server);
  absl::Span<const float> weights = FloatsOf(payload->bytes);
  if (held_ != nullptr && tag.kind == MessageKind::kWeights) {
    const SharedStream stream =
        SharedDownStream(spec_.training().seed(), tag.step, {tag.bucket, server, servers_});
    if (part.count > 0) Check(held_->Add(stream, payload->bytes, part.begin, part.count));
    weights = held_->values().subspan(part.begin, part.count);
  } else if (held_ != nullptr) {
    held_->Set(part.begin, weights);
  }
  RM_CHECK(static_cast<int64_t>(weights.size()) == part.count);
  std::copy(weights.begin(), weights.end(), (keeps_ ? arriving_ : back_).begin() + part.begin);
}

void LearningWorker::Deliver() {
  if (keeps_) arriving_.swap(back_);
}

void LearningWorker::Swap(MessageKind from) {
  AwaitGradients();  // computed from the weights that go
  if (scheme_.attraction == 0) {
    replica_->Replace(&back_);
    if (!base_.empty()) base_.assign(weights().begin(), weights().end());
  } else if (from == MessageKind::kDrain) {
    center_.swap(back_);
  } else {
    MoveTowards(static_cast<float>(scheme_.attraction / (1 - scheme_.attraction)), back_,
                replica_->Edit());
  }
  if (run_.watches_memory) std::fill(back_.begin(), back_.end(), NAN);  // all of it arrives again
}

LearningServer::LearningServer(const LearningRun& run, const std::vector<float>& initial_weights,
                               int32_t index)
    : run_(run),
      run_seed_(run.spec->training().seed()),
      index_(index),
      servers_(TraitsOf(*run.spec).servers),
      parts_(ShardParts(*run.layout, servers_, index)),
      answers_from_shard_(TraitsOf(*run.spec).updates == Updates::kTogether &&
                          TraitsOf(*run.spec).backup_workers == 0),
      weights_(GatherShard(parts_, initial_weights)),
      replies_(run.spec->training().workers()),
      answers_(parts_.size()),
      inbox_(run.spec->training().workers()) {
  if (!answers_from_shard_) std::fill(replies_.begin(), replies_.end(), weights_);
  int64_t begin = 0;
  for (const Range& part : parts_) {
    begins_.push_back(begin);
    begin += part.count;
    for (auto& of_worker : inbox_) of_worker.emplace_back();
  }
}

absl::StatusOr<std::unique_ptr<LearningServer>> LearningServer::Create(
    const LearningRun& run, const std::vector<float>& initial_weights, int32_t index) {
  std::unique_ptr<LearningServer> server(new LearningServer(run, initial_weights, index));
  RM_ASSIGN_OR_RETURN(server->codec_,
                      CreateCodecOf(run.spec->codec(), *run.layout, server->servers_));
  RM_ASSIGN_OR_RETURN(server->down_,
                      DownLink::Create(*run.spec, *run.layout,
                                       {index, server->run_seed_, server->answers_from_shard_},
                                       server->parts_, server->weights_));
  return server;
}

absl::Span<const float> LearningServer::Decode(int32_t worker, int32_t part, int64_t step,
                                               const Payload& payload) {
  answers_[part] = nullptr;
  Arrival& arrival = inbox_[worker][part];
  const auto count = static_cast<size_t>(parts_[part].count);
  if (codec_->traits().exact || count == 0) {
    arrival.message = payload;
    const absl::Span<const float> gradient = FloatsOf(payload->bytes);
    RM_CHECK(gradient.size() == count);
    return gradient;
  }
  arrival.decoded.resize(count);
  const absl::Status decoded =
      codec_->Decode(SharedPartStream(run_seed_, step, {part, index_, servers_}), payload->bytes,
                     absl::MakeSpan(arrival.decoded));
  if (!decoded.ok()) run_.fail(decoded);
  return arrival.decoded;
}

void LearningServer::Return(int32_t worker, int32_t part) {
  Arrival& arrival = inbox_[worker][part];
  arrival.message = nullptr;
  if (run_.watches_memory) std::fill(arrival.decoded.begin(), arrival.decoded.end(), NAN);
}

void LearningServer::Copy(int32_t worker, const Tag& tag) {
  if (tag.kind != MessageKind::kWeights) {
    replies_[worker] = weights_;
    return;
  }
  const auto begin = weights_.begin() + begins_[tag.bucket];
  std::copy_n(begin, parts_[tag.bucket].count, replies_[worker].begin() + begins_[tag.bucket]);
}

Payload LearningServer::Send(int32_t worker, const Tag& tag) {
  const int32_t part = tag.bucket;
  if (down_ != nullptr && tag.kind == MessageKind::kWeights) {
    const absl::Span<const float> weights = absl::MakeSpan(weights_);
    const auto encoded =
        down_->Encode(worker, tag, weights.subspan(begins_[part], parts_[part].count));
    if (encoded.ok()) {
      if (run_.sizes != nullptr)
        run_.sizes->Down({tag.step, worker, index_, part}, encoded->size());
      return PayloadOf(*encoded, run_.watches_memory);
    }
    run_.fail(encoded.status());
  }
  const bool is_shared = answers_from_shard_ && down_ == nullptr;  // all workers get the same
  if (is_shared && answers_[part] != nullptr) return answers_[part];
  std::vector<float>& from = answers_from_shard_ ? weights_ : replies_[worker];
  const absl::Span<float> weights = absl::MakeSpan(from).subspan(begins_[part], parts_[part].count);
  if (down_ != nullptr) down_->Tell(worker, part, weights);
  Payload payload = PayloadOf(BytesOf(weights), run_.watches_memory);
  if (is_shared) answers_[part] = payload;
  return payload;
}

}  // namespace ringmaster
