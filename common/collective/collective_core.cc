#include "common/collective/collective_core.h"

#include <algorithm>

#include "common/base/check.h"

namespace ringmaster {

using Kind = CollectiveAction::Kind;

CollectiveCore::CollectiveCore(int32_t ranks, const CollectiveLimits& limits)
    : limits_(limits), flights_(limits.in_flight_max), peers_(ranks) {
  RM_CHECK(ranks > 0);
  RM_CHECK(limits.in_flight_max > 0 && limits.ahead_bytes > 0);
}

bool CollectiveCore::HasRoom(const PlanView& plan) const {
  if (in_flight_ == 0) return true;
  return in_flight_ < limits_.in_flight_max && ahead_bytes_ + AheadBytes(plan) <= kAheadBytesMax;
}

CollectiveCore::Started CollectiveCore::Start(const PlanView& plan, Actions* actions) {
  RM_CHECK(HasRoom(plan));
  Flight* flight = nullptr;
  for (Flight& candidate : flights_) {
    if (candidate.busy) continue;
    if (flight == nullptr || candidate.scratch_bytes_max > flight->scratch_bytes_max)
      flight = &candidate;
  }
  const int32_t place = static_cast<int32_t>(flight - flights_.data());
  const std::vector<PlanOp>& ops = plan.plan->ops;
  flight->ticket = ++last_ticket_;
  flight->busy = true;
  flight->view = plan;
  flight->scratch_bytes_max = std::max(flight->scratch_bytes_max, plan.plan->scratch_bytes);
  flight->left = static_cast<int32_t>(ops.size());
  flight->waits_for.clear();
  for (const PlanOp& op : ops) flight->waits_for.push_back(op.waits_for);
  flight->questions.assign(ops.size(), Question::kMessage);
  ++in_flight_;
  ahead_bytes_ += AheadBytes(plan);
  const Started started = {flight->ticket, place};
  if (ops.empty()) Land(place, actions);
  // Receives first: the peers may have begun. The last one pushed is started first.
  for (const bool sends : {true, false}) {
    for (int32_t i = static_cast<int32_t>(ops.size()) - 1; i >= 0; --i) {
      if (ops[i].waits_for == 0 && IsSend(ops[i]) == sends) ready_.push_back({place, i});
    }
  }
  RunReady(actions);
  return started;
}

void CollectiveCore::MessageDone(OpRef ref, bool in_place, Actions* actions) {
  RM_CHECK(flights_[ref.flight].busy && flights_[ref.flight].waits_for[ref.op] == 0);
  const PlanOp& op = OpOf(ref);
  if (IsSend(op)) {
    if (in_place) flights_[ref.flight].questions[ref.op] = Question::kAnswered;
    Peer& peer = peers_[op.peer];
    peer.ahead_bytes -= SendBytes(ref);
    Done(ref, actions);
    SendMore(&peer, actions);
  } else {
    if (in_place) TakeLoan(ref, actions);
    Done(ref, actions);
  }
  RunReady(actions);
}

void CollectiveCore::Reset() {
  for (Flight& flight : flights_) flight.busy = false;
  for (Peer& peer : peers_) peer = {};
  ready_.clear();
  in_flight_ = 0;
  ahead_bytes_ = 0;
}

bool CollectiveCore::InFlight(Ticket ticket) const {
  return std::any_of(flights_.begin(), flights_.end(),
                     [=](const Flight& flight) { return flight.busy && flight.ticket == ticket; });
}

int64_t CollectiveCore::SendBytes(OpRef ref) const {
  const PlanOp& op = OpOf(ref);
  return op.kind == PlanOp::Kind::kGatherSend ? flights_[ref.flight].view.bytes : op.bytes;
}

void CollectiveCore::RunReady(Actions* actions) {
  while (!ready_.empty()) {
    const OpRef ref = ready_.back();
    ready_.pop_back();
    StartOp(ref, actions);
  }
}

bool CollectiveCore::Behind(const WaitingSend& a, const WaitingSend& b) {
  if (a.ticket != b.ticket) return a.ticket > b.ticket;
  if (a.round != b.round) return a.round < b.round;
  return a.op.op > b.op.op;
}

void CollectiveCore::StartOp(OpRef ref, Actions* actions) {
  const PlanOp& op = OpOf(ref);
  if (op.kind == PlanOp::Kind::kAdd) {
    actions->push_back({Kind::kAdd, ref});
    Done(ref, actions);
  } else if (AnswerInPlace(ref, actions)) {
    Done(ref, actions);
  } else if (IsSend(op)) {
    Peer& peer = peers_[op.peer];
    peer.waiting.push_back({flights_[ref.flight].ticket, op.round, ref});
    std::push_heap(peer.waiting.begin(), peer.waiting.end(), Behind);
    SendMore(&peer, actions);
  } else {
    actions->push_back({Kind::kReceive, ref});
  }
}

bool CollectiveCore::AnswerInPlace(OpRef ref, Actions* actions) {
  const PlanOp& op = OpOf(ref);
  if (op.question < 0) return false;
  const Question question = flights_[ref.flight].questions[op.question];
  if (question == Question::kMessage) return false;
  if (!IsSend(op)) return true;
  if (question == Question::kLent) actions->push_back({Kind::kAnswer, ref});
  actions->push_back({Kind::kReturn, ref});
  return true;
}

void CollectiveCore::TakeLoan(OpRef ref, Actions* actions) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  flight.questions[ref.op] = Question::kLent;
  if (op.kind != PlanOp::Kind::kReceiveAdd) return;
  const std::vector<int32_t>& next = flight.view.plan->next;
  const auto next_end = next.begin() + op.next_end;
  const bool answer_is_next =
      std::find(next.begin() + op.next_begin, next_end, op.answer) != next_end;
  if (!answer_is_next || flight.waits_for[op.answer] > 1) {
    actions->push_back({Kind::kAddLent, ref});
    return;
  }
  // Nothing else is to be added: one pass over memory writes the sum here and there, in half the
  // time of a sum and a copy.
  actions->push_back({Kind::kAddBoth, ref});
  flight.questions[ref.op] = Question::kAnswered;
}

void CollectiveCore::SendMore(Peer* peer, Actions* actions) {
  while (!peer->waiting.empty()) {
    const OpRef ref = peer->waiting.front().op;
    const int64_t bytes = SendBytes(ref);
    if (peer->ahead_bytes > 0 && peer->ahead_bytes + bytes > limits_.ahead_bytes) break;
    std::pop_heap(peer->waiting.begin(), peer->waiting.end(), Behind);
    peer->waiting.pop_back();
    peer->ahead_bytes += bytes;
    actions->push_back({Kind::kSend, ref});
  }
}

void CollectiveCore::Done(OpRef ref, Actions* actions) {
  Flight& flight = flights_[ref.flight];
  const Plan& plan = *flight.view.plan;
  const PlanOp& op = plan.ops[ref.op];
  flight.waits_for[ref.op] = -1;
  for (int32_t i = op.next_begin; i < op.next_end; ++i) {
    if (--flight.waits_for[plan.next[i]] == 0) ready_.push_back({ref.flight, plan.next[i]});
  }
  if (--flight.left == 0) Land(ref.flight, actions);
}

void CollectiveCore::Land(int32_t place, Actions* actions) {
  Flight& flight = flights_[place];
  flight.busy = false;
  --in_flight_;
  ahead_bytes_ -= AheadBytes(flight.view);
  actions->push_back({Kind::kFinished, {place, 0}});
}

}  // namespace ringmaster
