#include "worker/strategy/ps/worker_core.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/config/describe.h"
#include "common/scheme/gradient_arenas.h"
#include "common/scheme/registry.h"

namespace ringmaster {

using Kind = WorkerAction::Kind;

WorkerPlan WorkerPlanOf(const RunSpec& spec, int32_t rank, int32_t buckets) {
  const SchemeTraits traits = TraitsOf(spec);
  WorkerPlan plan;
  plan.rank = rank;
  plan.servers = traits.servers;
  plan.buckets = buckets;
  plan.local_steps = traits.local_steps;
  plan.keeps_own = traits.attraction > 0;
  plan.answered = traits.updates == Updates::kTogether || plan.keeps_own;
  plan.drain_pulls = traits.weights_encoded;
  plan.may_skip = traits.backup_workers > 0;
  plan.steps_in_flight_max = GradientArenas(traits);
  plan.equal_steps = traits.work != Work::kClaimed;
  plan.says_lots = PushesSayLots(spec);
  return plan;
}

WorkerCore::WorkerCore(const WorkerPlan& plan) : plan_(plan) {
  RM_CHECK(plan_.servers > 0 && plan_.buckets >= 0 && plan_.rank >= 0);
  RM_CHECK(plan_.steps_in_flight_max == 1 || (plan_.steps_in_flight_max == 2 && !plan_.answered));
  RM_CHECK(plan_.local_steps == 0 || (plan_.local_steps > 0 && plan_.answered == plan_.keeps_own &&
                                      plan_.steps_in_flight_max == 1));
  RM_CHECK(!plan_.may_skip || plan_.answered);
  RM_CHECK(!plan_.keeps_own || (plan_.local_steps > 0 && plan_.answered));
  const size_t parts = static_cast<size_t>(plan_.servers) * plan_.buckets;
  for (Versions* versions : {&arriving_, &delivered_, &front_, &read_[0], &read_[1]})
    versions->assign(parts, 0);
  waiting_.reserve(2 * (plan_.buckets + 1) + 2);
}

void WorkerCore::BeginAt(int64_t exchanges, absl::Span<const int64_t> versions) {
  RM_CHECK(idle() && begun_ == 0 && exchanges >= 0 && versions.size() == front_.size());
  ended_ = begun_ = exchanges;
  front_.assign(versions.begin(), versions.end());
}

size_t WorkerCore::MaxActions() const {
  // A step ends, lets the next one begin, and all that waits behind it starts: pushes of all parts
  // and a pull.
  return 2 * static_cast<size_t>(plan_.servers) * (plan_.buckets + 1) + 6;
}

void WorkerCore::Expect(int32_t server, const Tag& tag, std::vector<WorkerAction>* actions) {
  ++expected_;
  actions->push_back({Kind::kExpect, server, tag});
}

void WorkerCore::Send(int32_t server, const Tag& tag, std::vector<WorkerAction>* actions) {
  ++unsent_;
  actions->push_back({Kind::kSend, server, tag});
}

void WorkerCore::StepBegins(int64_t step, std::vector<WorkerAction>* actions) {
  RM_CHECK(!beginning_.has_value() && !draining_);
  beginning_ = step;
  LetStepBegin(actions);
}

void WorkerCore::GradientReady(int64_t step, int32_t bucket, std::vector<WorkerAction>* actions,
                               int64_t lot) {
  RM_CHECK(bucket >= 0 && bucket < plan_.buckets && plan_.local_steps == 0);
  Add({Task::Kind::kBucket, step, bucket, lot}, actions);
}

void WorkerCore::StepEnds(int64_t step, std::vector<WorkerAction>* actions) {
  if (plan_.local_steps > 0 && ++ended_steps_ < plan_.local_steps) return;
  Add({Task::Kind::kEndStep, step}, actions);
}

void WorkerCore::DrainAsked(std::vector<WorkerAction>* actions) {
  RM_CHECK(!beginning_.has_value() && !draining_);
  draining_ = true;
  begun_steps_ = 0;
  // What the drain brings would overwrite it.
  if (plan_.keeps_own) TakeDelivered(MessageKind::kWeights, actions);
  if (ended_steps_ > 0) Add({Task::Kind::kEndStep}, actions);
  Add({Task::Kind::kDrain}, actions);
}

void WorkerCore::RecallAsked(int32_t mark, std::vector<WorkerAction>* actions) {
  RM_CHECK(idle() && mark >= 0);
  Add({Task::Kind::kRecall, mark}, actions);
}

void WorkerCore::KeepAsked(int64_t step, std::vector<WorkerAction>* actions) {
  RM_CHECK(idle() && !draining_ && step >= 0);
  Add({Task::Kind::kKeep, step}, actions);
}

void WorkerCore::FarewellAsked(std::vector<WorkerAction>* actions) {
  Add({Task::Kind::kFarewell}, actions);
}

void WorkerCore::MessageLeft(std::vector<WorkerAction>* actions) {
  RM_CHECK(unsent_ > 0);
  --unsent_;
  Advance(actions);
}

void WorkerCore::MessageArrived(int32_t server, const Tag& tag,
                                std::vector<WorkerAction>* actions) {
  RM_CHECK(expected_ > 0);
  if (tag.kind == MessageKind::kPull) {
    const bool is_recall = ending_.has_value() && ending_->kind == Task::Kind::kRecall;
    if (is_recall) {
      recalled_age_us_ = std::min(recalled_age_us_, tag.note);
    } else {
      arriving_parked_us_ = std::max(arriving_parked_us_, tag.note);
    }
  } else {
    arriving_[Index(server, tag.bucket)] = tag.note;
  }
  --expected_;
  Advance(actions);
}

void WorkerCore::Add(const Task& task, std::vector<WorkerAction>* actions) {
  if (ending_.has_value()) {
    RM_CHECK(waiting_.size() < waiting_.capacity());
    waiting_.push_back(task);
    return;
  }
  Start(task, actions);
  Advance(actions);
}

void WorkerCore::Start(const Task& task, std::vector<WorkerAction>* actions) {
  if (task.kind == Task::Kind::kBucket) return Push(task, actions);
  ending_ = task;
  switch (task.kind) {
    case Task::Kind::kBucket:
      return;
    case Task::Kind::kEndStep:
      RM_CHECK(plan_.local_steps > 0 || plan_.may_skip || task.step == ended_);
      if (plan_.local_steps > 0) PushAll(actions);
      if (plan_.answered) return;
      // What was delivered last lies where the next weights arrive. The step thread has ended its
      // step and begun no other, or has taken them.
      TakeDelivered(MessageKind::kWeights, actions);
      return Pull(/*drain=*/false, actions);
    case Task::Kind::kDrain:
      if (DrainPulls()) Pull(/*drain=*/true, actions);
      return;
    case Task::Kind::kRecall: {
      PullNote note;
      note.mark = static_cast<int32_t>(task.step);
      recalled_age_us_ = std::numeric_limits<int64_t>::max();
      return Request(MessageKind::kDrain, note, actions);
    }
    case Task::Kind::kKeep: {
      PullNote note;
      note.kept_step = task.step;
      return Request(std::nullopt, note, actions);
    }
    case Task::Kind::kFarewell:
      for (int32_t server = 0; server < plan_.servers; ++server) {
        Tag request{MessageKind::kPull, 0, 0, pulls_};
        request.note = EncodePullNote({0, false, true});
        Send(server, request, actions);
      }
      return;
  }
}

void WorkerCore::Push(const Task& task, std::vector<WorkerAction>* actions) {
  // Every worker begins with another server, and the one that may live beside it comes last: its
  // copy is made here and now, while the others' are on their way.
  for (int32_t i = 1; i <= plan_.servers; ++i) {
    const int32_t server = (plan_.rank + i) % plan_.servers;
    if (plan_.answered) Expect(server, {MessageKind::kWeights, 0, task.bucket, ended_}, actions);
    Tag push{MessageKind::kPush, 0, task.bucket, ended_};
    PushNote note;
    note.read_version = read_[ended_ % 2][Index(server, task.bucket)];
    if (plan_.local_steps > 0) note.missing_steps = plan_.local_steps - ended_steps_;
    note.late = plan_.may_skip && task.step < note.read_version;
    if (plan_.says_lots) note.lot = static_cast<int32_t>(task.lot);
    push.note = EncodePushNote(note);
    Send(server, push, actions);
  }
}

void WorkerCore::PushAll(std::vector<WorkerAction>* actions) {
  for (int32_t bucket = 0; bucket < plan_.buckets; ++bucket)
    Push({Task::Kind::kBucket, 0, bucket}, actions);
  ended_steps_ = 0;
}

void WorkerCore::Pull(bool drain, std::vector<WorkerAction>* actions) {
  PullNote note;
  note.clock = drain ? ended_ : ended_ + 1;
  note.drain = drain;
  Request(drain ? MessageKind::kDrain : MessageKind::kWeights, note, actions);
}

void WorkerCore::Request(std::optional<MessageKind> weights, const PullNote& note,
                         std::vector<WorkerAction>* actions) {
  // Weights are expected before the request goes out, so that they land where they are going.
  for (int32_t server = 0; server < plan_.servers; ++server) {
    for (int32_t bucket = 0; weights.has_value() && bucket < plan_.buckets; ++bucket)
      Expect(server, {*weights, 0, bucket, pulls_}, actions);
    Expect(server, {MessageKind::kPull, 0, 0, pulls_}, actions);
  }
  for (int32_t server = 0; server < plan_.servers; ++server) {
    Tag request{MessageKind::kPull, 0, 0, pulls_};
    request.note = EncodePullNote(note);
    Send(server, request, actions);
  }
  ++pulls_;
}

void WorkerCore::Advance(std::vector<WorkerAction>* actions) {
  while (ending_.has_value() && expected_ == 0 && unsent_ == 0) {
    const Task ended = *ending_;
    ending_.reset();
    End(ended, actions);
    while (!ending_.has_value() && next_waiting_ < waiting_.size())
      Start(waiting_[next_waiting_++], actions);
    if (next_waiting_ == waiting_.size()) {
      waiting_.clear();
      next_waiting_ = 0;
    }
  }
}

void WorkerCore::End(const Task& task, std::vector<WorkerAction>* actions) {
  if (task.kind == Task::Kind::kFarewell) return;
  if (task.kind == Task::Kind::kRecall) {
    actions->push_back({Kind::kRecalled, 0, {}});
    return;
  }
  if (task.kind == Task::Kind::kKeep) {
    arriving_parked_us_ = 0;
    actions->push_back({Kind::kKept, 0, {}});
    return;
  }
  const bool brought_weights = task.kind == Task::Kind::kEndStep || DrainPulls();
  if (brought_weights) {
    actions->push_back({Kind::kDeliver, 0, {}});
    arriving_.swap(delivered_);
    has_delivered_ = true;
    ++delivered_pulls_;
    delivered_parked_us_ += arriving_parked_us_;
    arriving_parked_us_ = 0;
  }
  if (task.kind == Task::Kind::kEndStep) {
    ++ended_;
    if (plan_.keeps_own && draining_) TakeDelivered(MessageKind::kWeights, actions);
    return LetStepBegin(actions);
  }
  draining_ = false;
  TakeDelivered(MessageKind::kDrain, actions);
  actions->push_back({Kind::kDrained, 0, {}});
}

void WorkerCore::LetStepBegin(std::vector<WorkerAction>* actions) {
  if (!beginning_.has_value()) return;
  const bool is_first = begun_steps_ == 0;  // of its exchange
  if (is_first && begun_ >= ended_ + plan_.steps_in_flight_max) return;
  int64_t step = *beginning_;
  beginning_.reset();
  if (is_first) {
    TakeDelivered(MessageKind::kWeights, actions);
    read_[begun_ % 2] = front_;
    ++begun_;
    if (plan_.may_skip) step = std::max(step, *std::min_element(front_.begin(), front_.end()));
  }
  if (plan_.local_steps > 0) begun_steps_ = (begun_steps_ + 1) % plan_.local_steps;
  actions->push_back({Kind::kLetStepBegin, 0, {MessageKind::kPush, 0, 0, step}});
}

void WorkerCore::TakeDelivered(MessageKind from, std::vector<WorkerAction>* actions) {
  if (!has_delivered_) return;
  has_delivered_ = false;
  front_pulls_ = delivered_pulls_;
  front_.swap(delivered_);
  parked_us_ = delivered_parked_us_;
  delivered_parked_us_ = 0;
  actions->push_back({Kind::kSwap, 0, {from, 0, 0, 0}});
}

}  // namespace ringmaster
