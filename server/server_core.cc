#include "server/server_core.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "common/update/delay_compensation.h"
#include "common/update/update_rule.h"

namespace ringmaster {

using Kind = ServerAction::Kind;

ServingPlan ServingPlanOf(const RunSpec& spec, int32_t index, absl::Span<const Range> parts) {
  const SchemeTraits traits = TraitsOf(spec);
  ServingPlan plan;
  plan.index = index;
  const bool together = traits.updates == Updates::kTogether;
  plan.answers_pushes = together || traits.attraction > 0;
  plan.shard.workers = traits.workers;
  plan.shard.global_batch = GlobalBatch(spec);
  plan.shard.contributions_per_update = together ? plan.shard.workers - traits.backup_workers : 1;
  plan.shard.drops_late = traits.backup_workers > 0;
  plan.copies_answers = plan.shard.drops_late || traits.attraction > 0;
  plan.shard.steps_per_push = traits.local_steps;
  plan.shard.staleness_bound = traits.staleness_bound;
  if (together) plan.shard.staleness_bound = 0;
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  plan.shard.votes = together && codec.has_value() && codec->majority_vote;
  // Without a bound a step begins while the exchange of the one before is under way, and may take
  // the weights before its own.
  if (traits.compensates_delay) plan.shard.sent_kept = traits.staleness_bound.has_value() ? 1 : 2;
  plan.shard.keeps_copies = MayReform(spec);
  plan.shard.equal_steps = traits.work != Work::kClaimed;
  if (PushesSayLots(spec)) plan.shard.lots = ClaimedLots(spec);
  for (const Range& part : parts) plan.shard.part_counts.push_back(part.count);
  for (const SampleMark& mark : SampleMarks(spec)) plan.shard.marks.push_back(mark.update);
  return plan;
}

absl::StatusOr<std::unique_ptr<UpdateRule>> ShardRuleOf(const RunSpec& spec,
                                                        absl::Span<const Range> parts,
                                                        absl::Span<const Range> statistics) {
  const SchemeTraits traits = TraitsOf(spec);
  UpdateScope scope;
  for (const Range& part : parts) scope.count += part.count;
  if (traits.attraction > 0)
    return CreateAttractRule(scope.count, static_cast<float>(traits.attraction));
  if (traits.local_steps > 0) return CreateAddRule(scope.count);
  scope.batches = spec.training().workers() * spec.training().accumulate();
  scope.statistics = ShardStatistics(parts, statistics);
  const UpdateScope kept = scope;
  RM_ASSIGN_OR_RETURN(auto rule, CreateUpdateRule(spec.optimizer(), std::move(scope)));
  if (!traits.compensates_delay) return rule;
  const DelayCompensationSpec& asked = spec.strategy().parameter_server().delay_compensation();
  DelayCompensation compensation;
  compensation.lambda = asked.lambda();
  compensation.adaptive = asked.adaptive();
  compensation.decay = asked.decay();
  compensation.workers = spec.training().workers();
  return Compensate(std::move(rule), compensation, kept.count, kept.statistics);
}

Push PushOf(int32_t worker, const Tag& tag, absl::Span<const float> gradient) {
  const PushNote note = DecodePushNote(tag.note);
  return {worker,   tag.bucket,         tag.step,  note.read_version,
          gradient, note.missing_steps, note.late, note.lot};
}

ServerCore::ServerCore(ServingPlan plan, std::unique_ptr<UpdateRule> update,
                       absl::Span<float> weights)
    : plan_(std::move(plan)),
      shard_(plan_.shard, std::move(update), weights),
      peers_(plan_.shard.workers),
      push_steps_(Index(plan_.shard.workers, 0)),
      owed_(Index(plan_.shard.workers, 0)),
      sending_(Memory(plan_.shard.workers, 0)) {
  ready_.reserve(plan_.shard.workers);
}

absl::StatusOr<State> ServerCore::Give() const {
  RM_ASSIGN_OR_RETURN(State state, shard_.Give());
  if (!plan_.shard.drops_late) return state;
  // How many pushes there were of each worker: not as many as updates.
  State pushes;
  pushes.AddIntegers("steps", push_steps_);
  state.AddPart("pushes", pushes);
  return state;
}

absl::Status ServerCore::Take(const State& state) {
  State own = state;
  const State pushes = own.TakePart("pushes");
  std::vector<int64_t> push_steps(push_steps_.size());
  if (plan_.shard.drops_late)
    RM_RETURN_IF_ERROR(pushes.CopyTo({{"steps", absl::MakeSpan(push_steps)}}));
  RM_RETURN_IF_ERROR(shard_.Take(own));
  const absl::Span<const int64_t> applied = shard_.clocks().applied();
  if (!plan_.shard.drops_late) push_steps.assign(applied.begin(), applied.end());
  push_steps_ = std::move(push_steps);
  return absl::OkStatus();
}

void ServerCore::Start(std::vector<ServerAction>* actions) {
  for (int32_t worker = 0; worker < plan_.shard.workers; ++worker) {
    for (int32_t part = 0; part < parts(); ++part) ExpectPush(worker, part, actions);
    ExpectRequest(worker, actions);
  }
}

absl::Status ServerCore::OnPush(const Push& push, std::vector<ServerAction>* actions) {
  ready_.clear();
  RM_RETURN_IF_ERROR(shard_.OnPush(push, &ready_));
  RM_CHECK(!IsSending(push.worker, push.part));
  ++push_steps_[Index(push.worker, push.part)];
  ExpectPush(push.worker, push.part, actions);
  owed_[Index(push.worker, push.part)] = true;
  if (shard_.was_dropped()) {
    Return(push.worker, push.part, actions);
    if (plan_.answers_pushes && !peers_[push.worker].lost)
      AnswerPush(push.worker, push.part, actions);
    owed_[Index(push.worker, push.part)] = false;
  }
  for (const int32_t updated : shard_.updated()) SettlePart(updated, actions);
  if (peers_[push.worker].ahead_of_pushes) RM_RETURN_IF_ERROR(PullAfterPushes(push.worker));
  Answer(actions);
  return absl::OkStatus();
}

absl::Status ServerCore::OnRequest(int32_t worker, const PullNote& request,
                                   std::vector<ServerAction>* actions) {
  Peer& peer = peers_[worker];
  if (peer.lost) return absl::OkStatus();
  peer.request = request;
  if (request.farewell) {
    if (peer.done)
      return absl::InvalidArgumentError(absl::StrCat("worker/", worker, " said farewell twice"));
    peer.done = true;
    ++farewells_;
    PassMark(worker, std::numeric_limits<int32_t>::max());
    return absl::OkStatus();
  }
  if (request.mark >= 0) return SendCopy(worker, request.mark, actions);
  if (request.kept_step >= 0) {
    Send(worker, {MessageKind::kPull, 0, 0, peer.pulls}, actions);
    ++peer.pulls;
    ExpectRequest(worker, actions);
    return absl::OkStatus();
  }
  if (plan_.answers_pushes && !request.drain) {
    return absl::InvalidArgumentError(
        absl::StrCat("pull from worker/", worker, " at clock ", request.clock,
                     ": weights come by themselves with every update"));
  }
  for (int32_t part = 0; part < parts(); ++part) RM_CHECK(!IsSending(worker, part));
  ready_.clear();
  RM_RETURN_IF_ERROR(PullAfterPushes(worker));
  Answer(actions);
  return absl::OkStatus();
}

void ServerCore::OnLost(int32_t worker, std::vector<ServerAction>* actions) {
  Peer& peer = peers_[worker];
  ready_.clear();
  shard_.Lose(worker, &ready_);
  peer.lost = true;
  peer.ahead_of_pushes = false;
  if (!std::exchange(peer.done, true)) ++farewells_;
  PassMark(worker, std::numeric_limits<int32_t>::max());
  Answer(actions);
}

absl::Status ServerCore::SendCopy(int32_t worker, int32_t mark,
                                  std::vector<ServerAction>* actions) {
  Peer& peer = peers_[worker];
  PassMark(worker, mark);
  if (!shard_.HasCopy(mark) && !shard_.IsUnreached(mark)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "worker/", worker, " asks for the copy of mark ", mark, " of ", plan_.shard.marks.size(),
        ": it is not complete, was given up, or never taken"));
  }
  for (int32_t part = 0; part < parts(); ++part) {
    Tag tag{MessageKind::kDrain, 0, part, peer.pulls};
    tag.note = plan_.shard.marks[mark];
    actions->push_back({Kind::kSend, worker, tag, mark});
  }
  actions->push_back({Kind::kSend, worker, {MessageKind::kPull, 0, 0, peer.pulls}, mark});
  ++peer.pulls;
  ExpectRequest(worker, actions);
  return absl::OkStatus();
}

void ServerCore::PassMark(int32_t worker, int32_t mark) {
  peers_[worker].mark = std::max(peers_[worker].mark, mark);
  int32_t earliest = peers_[0].mark;
  for (const Peer& peer : peers_) earliest = std::min(earliest, peer.mark);
  shard_.FreeCopiesBefore(earliest);
}

void ServerCore::OnSent(int32_t worker, int32_t part) {
  int32_t& sending = sending_[Memory(worker, part)];
  RM_CHECK(sending > 0);
  --sending;
}

void ServerCore::ExpectPush(int32_t worker, int32_t part,
                            std::vector<ServerAction>* actions) const {
  actions->push_back(
      {Kind::kExpect, worker, {MessageKind::kPush, 0, part, push_step(worker, part)}});
}

void ServerCore::ExpectRequest(int32_t worker, std::vector<ServerAction>* actions) const {
  actions->push_back({Kind::kExpect, worker, {MessageKind::kPull, 0, 0, peers_[worker].pulls}});
}

void ServerCore::Send(int32_t worker, const Tag& tag, std::vector<ServerAction>* actions) {
  ++sending_[Memory(worker, tag.bucket)];
  actions->push_back({Kind::kSend, worker, tag});
}

absl::Status ServerCore::PullAfterPushes(int32_t worker) {
  Peer& peer = peers_[worker];
  const int64_t clock = peer.request.clock;
  peer.ahead_of_pushes = false;
  for (int32_t part = 0; part < parts(); ++part)
    peer.ahead_of_pushes |= push_step(worker, part) < clock;
  if (peer.ahead_of_pushes) return absl::OkStatus();
  return shard_.OnPull({worker, clock, peer.request.drain}, &ready_);
}

void ServerCore::Return(int32_t worker, int32_t part, std::vector<ServerAction>* actions) const {
  actions->push_back({Kind::kReturn, worker, {MessageKind::kPush, 0, part}});
}

void ServerCore::AnswerPush(int32_t worker, int32_t part, std::vector<ServerAction>* actions) {
  Tag tag{MessageKind::kWeights, 0, part, push_step(worker, part) - 1};
  tag.note = shard_.versions()[part];
  if (plan_.copies_answers) actions->push_back({Kind::kCopy, worker, tag});
  Send(worker, tag, actions);
}

void ServerCore::SettlePart(int32_t part, std::vector<ServerAction>* actions) {
  const int32_t workers = plan_.shard.workers;
  for (int32_t worker = 0; worker < workers; ++worker) {
    if (owed_[Index(worker, part)]) Return(worker, part, actions);
  }
  // The worker that may live beside this server comes last: its copy is made here and now, the
  // others' are on their way.
  for (int32_t i = 1; i <= workers; ++i) {
    const int32_t worker = (plan_.index + i) % workers;
    if (!owed_[Index(worker, part)]) continue;
    if (plan_.answers_pushes && !peers_[worker].lost) AnswerPush(worker, part, actions);
    owed_[Index(worker, part)] = false;
  }
}

void ServerCore::Answer(std::vector<ServerAction>* actions) {
  for (const Reply& reply : ready_) {
    Peer& peer = peers_[reply.worker];
    shard_.OnSent(reply.worker);
    if (!plan_.answers_pushes || plan_.copies_answers)
      actions->push_back({Kind::kCopy, reply.worker, {MessageKind::kPull, 0, 0, peer.pulls}});
    for (int32_t part = 0; part < parts(); ++part) {
      Tag tag{reply.drain ? MessageKind::kDrain : MessageKind::kWeights, 0, part, peer.pulls};
      tag.note = shard_.versions()[part];
      Send(reply.worker, tag, actions);
    }
    Send(reply.worker, {MessageKind::kPull, 0, 0, peer.pulls}, actions);
    ++peer.pulls;
    ExpectRequest(reply.worker, actions);
  }
}

}  // namespace ringmaster
