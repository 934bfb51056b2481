#include "server/shard_service.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/exchange/parts.h"
#include "common/machine/short_turns.h"
#include "common/update/update_rule.h"

namespace ringmaster {
namespace {

using Consistency = ParameterServerSpec;

constexpr int32_t kPull = -1;

ShardPlan PlanOf(const RunSpec& spec, absl::Span<const Range> parts) {
  const ParameterServerSpec& ps = spec.strategy().parameter_server();
  ShardPlan plan;
  plan.workers = spec.training().workers();
  plan.global_batch = GlobalBatch(spec);
  plan.contributions_per_update = ps.consistency() == Consistency::BSP ? plan.workers : 1;
  if (ps.consistency() == Consistency::BSP) plan.staleness_bound = 0;
  if (ps.consistency() == Consistency::SSP) plan.staleness_bound = ps.staleness_bound();
  for (const Range& part : parts) plan.part_counts.push_back(part.count);
  return plan;
}

// The step at whose end a worker asks; -1 where it asks for no step: it drains, or takes leave.
int64_t StepOf(const PullNote& request) { return request.drain || request.farewell ? -1 : request.clock - 1; }

absl::Span<const float> AsFloats(absl::Span<const std::byte> bytes) {
  return absl::MakeConstSpan(reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardService>> ShardService::Create(const RunSpec& spec, const ParamLayout& layout,
                                                                   absl::Span<const float> initial_weights,
                                                                   int32_t index, Transport& transport,
                                                                   const BufferAllocator& allocate,
                                                                   ServerTraces* traces) {
  RM_CHECK(static_cast<int64_t>(initial_weights.size()) == layout.count());
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodec(spec.codec()));
  const std::vector<Range> parts = ShardParts(layout, spec.strategy().parameter_server().servers(), index);
  UpdateScope scope;
  for (const Range& part : parts) scope.count += part.count;
  scope.workers = spec.training().workers();
  scope.statistics = ShardStatistics(parts, layout.statistics());
  RM_ASSIGN_OR_RETURN(auto update, CreateUpdateRule(spec.optimizer(), std::move(scope)));
  const std::vector<float> shard = GatherShard(parts, initial_weights);
  const int64_t shard_bytes = shard.size() * sizeof(float);
  RM_ASSIGN_OR_RETURN(Buffer weights, allocate(shard_bytes));
  std::copy(shard.begin(), shard.end(), weights.floats());
  std::unique_ptr<ShardService> service(new ShardService(spec, layout, index, transport, std::move(codec),
                                                         std::move(update), std::move(weights), traces));
  if (service->answers_pushes_) return service;
  for (Peer& peer : service->peers_) {
    RM_ASSIGN_OR_RETURN(peer.reply, allocate(shard_bytes));
  }
  return service;
}

ShardService::ShardService(const RunSpec& spec, const ParamLayout& layout, int32_t index, Transport& transport,
                           std::unique_ptr<Codec> codec, std::unique_ptr<UpdateRule> update, Buffer weights,
                           ServerTraces* traces)
    : index_(index),
      workers_(spec.training().workers()),
      parts_(ShardParts(layout, spec.strategy().parameter_server().servers(), index)),
      wait_limit_(absl::Seconds(spec.limits().wait_seconds())),
      answers_pushes_(spec.strategy().parameter_server().consistency() == Consistency::BSP),
      transport_(transport),
      codec_(std::move(codec)),
      weights_(std::move(weights)),
      core_(PlanOf(spec, parts_), std::move(update), weights_.float_span()),
      peers_(workers_),
      traces_(traces) {
  const bool exact = codec_->traits().exact;
  for (Peer& peer : peers_) {
    for (const Range& part : parts_) {
      peer.inbox.emplace_back(exact ? part.count * sizeof(float) : codec_->MaxEncodedBytes(part.count));
      if (!exact) peer.decoded.emplace_back(part.count);
    }
    peer.received.resize(parts_.size());
    peer.arriving.resize(parts_.size());
    peer.borrowed.resize(parts_.size());
    peer.push_step.resize(parts_.size());
    peer.sends.reserve(parts_.size() + 1);
    peer.part_sends.resize(parts_.size());
  }
  ops_.reserve(workers_ * (parts_.size() + 1));
  expected_.reserve(ops_.capacity());
  ready_.reserve(workers_);
}

absl::Status ShardService::ExpectPush(int32_t worker, int32_t part) {
  Peer& peer = peers_[worker];
  const NodeId from{Role::kWorker, worker};
  const Tag tag{MessageKind::kPush, 0, part, peer.push_step[part]};
  const absl::Span<std::byte> inbox = absl::MakeSpan(peer.inbox[part]);
  // Floats may be read where the worker has them: whatever it writes there meanwhile, they are numbers. Encoded bytes
  // are checked and then used, and must not change in between.
  absl::StatusOr<OpId> op =
      codec_->traits().exact ? transport_.Receive({from, tag, inbox, &peer.received[part], &peer.arriving[part]})
                             : transport_.Receive({from, tag, inbox, &peer.received[part]});
  RM_RETURN_IF_ERROR(op.status());
  ops_.push_back(*op);
  expected_.push_back({worker, part});
  return absl::OkStatus();
}

absl::Status ShardService::ExpectPull(int32_t worker) {
  Peer& peer = peers_[worker];
  RM_ASSIGN_OR_RETURN(
      OpId op, transport_.Receive({{Role::kWorker, worker}, {MessageKind::kPull, 0, 0, peer.pulls}, {}, &peer.pull}));
  ops_.push_back(op);
  expected_.push_back({worker, kPull});
  return absl::OkStatus();
}

absl::Status ShardService::Run() {
  AskForShortTurns(kExchangeTurn);  // refused, it is late more often
  for (int32_t worker = 0; worker < workers_; ++worker) {
    for (size_t part = 0; part < parts_.size(); ++part) RM_RETURN_IF_ERROR(ExpectPush(worker, part));
    RM_RETURN_IF_ERROR(ExpectPull(worker));
  }
  while (farewells_ < workers_) {
    RM_ASSIGN_OR_RETURN(int index, transport_.WaitAny(ops_, MonotonicTime::InfiniteFuture()));
    arrival_ = Clock::now();
    const Expected what = expected_[index];
    // They stay in the order in which they were posted, and the first that is there is served: nobody waits for ever.
    ops_.erase(ops_.begin() + index);
    expected_.erase(expected_.begin() + index);
    const absl::Status status = Serve(what);
    busy_ += Clock::now() - arrival_;
    RM_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status ShardService::Serve(const Expected& what) {
  ready_.clear();
  RM_RETURN_IF_ERROR(what.part == kPull ? OnPull(what.worker) : OnPush(what.worker, what.part));
  for (const Reply& reply : ready_) RM_RETURN_IF_ERROR(Answer(reply));
  if (traces_ == nullptr) return absl::OkStatus();
  const Peer& peer = peers_[what.worker];
  MessageEnd message;
  message.peer = {Role::kWorker, what.worker};
  message.tag.kind = what.part == kPull ? MessageKind::kPull : MessageKind::kPush;
  if (what.part == kPull) {
    message.step = StepOf(peer.request);
  } else {
    message.tag.bucket = what.part;
    message.step = peer.push_step[what.part] - 1;
    message.payload_bytes = peer.received[what.part].bytes;
  }
  traces_->shard.AddReceived(message, arrival_);
  AddSpan(KindName(message.tag.kind), message.step, what.part, arrival_);
  return absl::OkStatus();
}

void ShardService::AddSpan(const char* name, int64_t step, int32_t part, Clock::time_point begin) {
  if (traces_ != nullptr && traces_->shard.Wants(step)) traces_->shard.AddSpan(name, step, part, begin, Clock::now());
}

absl::Status ShardService::OnPush(int32_t worker, int32_t part) {
  Peer& peer = peers_[worker];
  const int64_t step = peer.push_step[part];
  RM_RETURN_IF_ERROR(answers_pushes_ ? FinishAnswer(peer, part) : FinishReply(peer));
  const Loan loan = peer.arriving[part];
  const absl::Span<const std::byte> bytes =
      loan.memory.empty() ? absl::MakeConstSpan(peer.inbox[part]).first(peer.received[part].bytes) : loan.memory;
  absl::Span<const float> gradient = AsFloats(bytes);
  absl::Status status;
  Clock::time_point begin = Clock::now();
  if (!codec_->traits().exact && parts_[part].count > 0) {
    status = codec_->Decode(bytes, absl::MakeSpan(peer.decoded[part]));
    gradient = peer.decoded[part];
    AddSpan("decode", step, part, begin);
    begin = Clock::now();
  }
  if (status.ok()) status = core_.OnPush({worker, part, step, peer.received[part].note, gradient}, &ready_);
  AddSpan(core_.updated().empty() ? "add" : "update", step, part, begin);
  if (!status.ok()) return Annotate(status, absl::StrCat("push from worker/", worker, " bucket=", part, " step=", step));
  peer.borrowed[part] = loan;
  ++peer.push_step[part];
  RM_RETURN_IF_ERROR(ExpectPush(worker, part));
  for (const int32_t updated : core_.updated()) {
    ReturnGradients(updated);
    if (answers_pushes_) RM_RETURN_IF_ERROR(SendPart(updated));
  }
  return peer.ahead_of_pushes ? PullAfterPushes(worker) : absl::OkStatus();
}

void ShardService::ReturnGradients(int32_t part) {
  for (int32_t worker = 0; worker < workers_; ++worker) {
    Peer& peer = peers_[worker];
    const Loan loan = std::exchange(peer.borrowed[part], {});
    if (loan.memory.empty()) continue;
    transport_.Return({Role::kWorker, worker}, {MessageKind::kPush, 0, part, peer.push_step[part] - 1}, loan);
  }
}

absl::Status ShardService::OnPull(int32_t worker) {
  Peer& peer = peers_[worker];
  peer.request = DecodePullNote(peer.pull.note);
  if (peer.request.farewell) {
    if (peer.done) return absl::InvalidArgumentError(absl::StrCat("worker/", worker, " said farewell twice"));
    peer.done = true;
    ++farewells_;
    return absl::OkStatus();
  }
  if (answers_pushes_) {
    return absl::InvalidArgumentError(absl::StrCat("pull from worker/", worker, " at clock ", peer.request.clock,
                                                   ": under BSP weights come by themselves with every update"));
  }
  peer.asked_at = Clock::now();
  return PullAfterPushes(worker);
}

absl::Status ShardService::PullAfterPushes(int32_t worker) {
  Peer& peer = peers_[worker];
  const int64_t clock = peer.request.clock;
  peer.ahead_of_pushes = std::any_of(peer.push_step.begin(), peer.push_step.end(),
                                     [clock](int64_t step) { return step < clock; });
  if (peer.ahead_of_pushes) return absl::OkStatus();
  return core_.OnPull({worker, peer.request.clock, peer.request.drain}, &ready_);
}

absl::Status ShardService::FinishReply(Peer& peer) {
  for (OpId op : peer.sends) RM_RETURN_IF_ERROR(transport_.Wait(op, MonotonicNow() + wait_limit_));
  peer.sends.clear();
  return absl::OkStatus();
}

absl::Status ShardService::FinishAnswer(Peer& peer, int32_t part) {
  const OpId op = std::exchange(peer.part_sends[part], 0);
  return op == 0 ? absl::OkStatus() : transport_.Wait(op, MonotonicNow() + wait_limit_);
}

absl::StatusOr<OpId> ShardService::StartSend(int32_t worker, const Tag& tag, int64_t step,
                                             absl::Span<const float> weights) {
  const auto* data = reinterpret_cast<const std::byte*>(weights.data());
  const absl::Span<const std::byte> bytes(data, weights.size() * sizeof(float));
  const Clock::time_point time = Clock::now();  // the worker may have it before the call returns
  RM_ASSIGN_OR_RETURN(const OpId op, transport_.Send({{Role::kWorker, worker}, tag, bytes}));
  if (traces_ != nullptr) {
    traces_->shard.AddSent({{Role::kWorker, worker}, tag, step, static_cast<int64_t>(bytes.size())}, time);
  }
  return op;
}

absl::Status ShardService::SendPart(int32_t part) {
  const Clock::time_point begin = Clock::now();
  const int64_t step = core_.versions()[part] - 1;
  Tag tag{MessageKind::kWeights, 0, part, step};
  tag.note = core_.versions()[part];
  // The worker that may live beside this server comes last: its copy is made here and now, the others' are on their way.
  for (int32_t i = 1; i <= workers_; ++i) {
    const int32_t worker = (index_ + i) % workers_;
    RM_ASSIGN_OR_RETURN(peers_[worker].part_sends[part], StartSend(worker, tag, step, core_.part_weights(part)));
  }
  AddSpan("send", step, part, begin);
  return absl::OkStatus();
}

absl::Status ShardService::Answer(const Reply& reply) {
  Peer& peer = peers_[reply.worker];
  const Clock::time_point begin = Clock::now();
  const int64_t step = StepOf(peer.request);
  if (traces_ != nullptr && peer.asked_at < arrival_) {
    traces_->parked[reply.worker].AddSpan("parked", step, -1, peer.asked_at, begin);
  }
  RM_RETURN_IF_ERROR(FinishReply(peer));
  const absl::Span<const float> weights = core_.weights();
  std::copy(weights.begin(), weights.end(), peer.reply.floats());
  const absl::Span<const float> copy = peer.reply.float_span();
  size_t first = 0;
  for (size_t part = 0; part < parts_.size(); ++part) {
    Tag tag{peer.request.drain ? MessageKind::kDrain : MessageKind::kWeights, 0, static_cast<int32_t>(part), peer.pulls};
    tag.note = core_.versions()[part];
    RM_ASSIGN_OR_RETURN(const OpId op, StartSend(reply.worker, tag, step, copy.subspan(first, parts_[part].count)));
    peer.sends.push_back(op);
    first += parts_[part].count;
  }
  Tag answer{MessageKind::kPull, 0, 0, peer.pulls};
  answer.note = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - peer.asked_at).count();
  RM_ASSIGN_OR_RETURN(const OpId op, StartSend(reply.worker, answer, step, {}));
  peer.sends.push_back(op);
  AddSpan("send", step, -1, begin);
  ++peer.pulls;
  return ExpectPull(reply.worker);
}

ServerReport ShardService::Report() const {
  ServerReport report;
  report.set_index(index_);
  for (int64_t count : core_.staleness_histogram()) report.add_staleness_histogram(count);
  report.set_updates(std::accumulate(core_.versions().begin(), core_.versions().end(), int64_t{0}));
  report.set_busy_ms(std::chrono::duration<double, std::milli>(busy_).count());
  return report;
}

}  // namespace ringmaster
