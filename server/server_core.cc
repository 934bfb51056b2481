#include "server/server_core.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"

namespace ringmaster {

using Kind = ServerAction::Kind;

ServingPlan ServingPlanOf(const RunSpec& spec, int32_t index, absl::Span<const Range> parts) {
  const ParameterServerSpec& ps = spec.strategy().parameter_server();
  ServingPlan plan;
  plan.index = index;
  plan.answers_pushes = ps.consistency() == ParameterServerSpec::BSP;
  plan.shard.workers = spec.training().workers();
  plan.shard.global_batch = GlobalBatch(spec);
  plan.shard.contributions_per_update = plan.answers_pushes ? plan.shard.workers : 1;
  if (plan.answers_pushes) plan.shard.staleness_bound = 0;
  if (ps.consistency() == ParameterServerSpec::SSP)
    plan.shard.staleness_bound = ps.staleness_bound();
  plan.shard.equal_steps = spec.strategy().work() != StrategySpec::CLAIMED;
  for (const Range& part : parts) plan.shard.part_counts.push_back(part.count);
  for (const SampleMark& mark : SampleMarks(spec)) plan.shard.marks.push_back(mark.update);
  return plan;
}

ServerCore::ServerCore(ServingPlan plan, std::unique_ptr<UpdateRule> update,
                       absl::Span<float> weights)
    : plan_(std::move(plan)),
      shard_(plan_.shard, std::move(update), weights),
      peers_(plan_.shard.workers),
      push_steps_(Index(plan_.shard.workers, 0)),
      sending_(Memory(plan_.shard.workers, 0)) {
  ready_.reserve(plan_.shard.workers);
}

absl::Status ServerCore::Take(const State& state) {
  RM_RETURN_IF_ERROR(shard_.Take(state));
  const absl::Span<const int64_t> applied = shard_.clocks().applied();
  push_steps_.assign(applied.begin(), applied.end());
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
  for (const int32_t updated : shard_.updated()) {
    actions->push_back({Kind::kReturn, 0, {MessageKind::kPush, 0, updated}});
    if (plan_.answers_pushes) SendPart(updated, actions);
  }
  if (peers_[push.worker].ahead_of_pushes) RM_RETURN_IF_ERROR(PullAfterPushes(push.worker));
  Answer(actions);
  return absl::OkStatus();
}

absl::Status ServerCore::OnRequest(int32_t worker, const PullNote& request,
                                   std::vector<ServerAction>* actions) {
  Peer& peer = peers_[worker];
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
  if (plan_.answers_pushes) {
    return absl::InvalidArgumentError(
        absl::StrCat("pull from worker/", worker, " at clock ", request.clock,
                     ": under BSP weights come by themselves with every update"));
  }
  RM_CHECK(!IsSending(worker, 0));
  ready_.clear();
  RM_RETURN_IF_ERROR(PullAfterPushes(worker));
  Answer(actions);
  return absl::OkStatus();
}

absl::Status ServerCore::SendCopy(int32_t worker, int32_t mark,
                                  std::vector<ServerAction>* actions) {
  Peer& peer = peers_[worker];
  PassMark(worker, mark);
  if (!shard_.HasCopy(mark)) {
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

void ServerCore::SendPart(int32_t part, std::vector<ServerAction>* actions) {
  Tag tag{MessageKind::kWeights, 0, part, shard_.versions()[part] - 1};
  tag.note = shard_.versions()[part];
  // The worker that may live beside this server comes last: its copy is made here and now, the
  // others' are on their way.
  for (int32_t i = 1; i <= plan_.shard.workers; ++i)
    Send((plan_.index + i) % plan_.shard.workers, tag, actions);
}

void ServerCore::Answer(std::vector<ServerAction>* actions) {
  for (const Reply& reply : ready_) {
    Peer& peer = peers_[reply.worker];
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
