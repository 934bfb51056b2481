#include "experiments/study/predict/collective_model.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace ringmaster {

CollectiveModel::CollectiveModel(int32_t rank, const std::vector<BucketPlans>* buckets, int32_t encoded_max,
                                 const std::vector<CollectiveModel*>* peers, SimulatedNetwork* network,
                                 EventQueue* queue)
    : rank_(rank),
      buckets_(*buckets),
      in_flight_max_(encoded_max > 0 ? std::min(encoded_max, limits_.in_flight_max) : limits_.in_flight_max),
      models_(*peers),
      network_(network),
      queue_(queue),
      peers_(buckets->empty() ? 0 : buckets->front().plans.size()) {}

void CollectiveModel::GradReady(int64_t step, int32_t bucket) {
  tasks_.push_back({step, bucket, nullptr});
  RunTasks();
}

void CollectiveModel::EndStep(int64_t step, EventQueue::Action go) {
  tasks_.push_back({step, -1, std::move(go)});
  RunTasks();
}

void CollectiveModel::RunTasks() {
  while (!tasks_.empty() && !busy_) {
    if (tasks_.front().bucket < 0) {
      if (in_flight_ > 0) return;
      const EventQueue::Action go = std::move(tasks_.front().go);
      tasks_.pop_front();
      go();
      continue;
    }
    if (in_flight_ >= in_flight_max_) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    ++in_flight_;
    const double encode = buckets_[task.bucket].encode;
    if (encode <= 0) {
      Launch(task.step, task.bucket);
      continue;
    }
    busy_ = true;
    queue_->After(encode, [this, step = task.step, bucket = task.bucket] {
      busy_ = false;
      Launch(step, bucket);
      RunTasks();
    });
  }
}

void CollectiveModel::Launch(int64_t step, int32_t bucket) {
  Flight flight;
  flight.ticket = ++last_ticket_;
  flight.step = step;
  flight.bucket = bucket;
  flight.plan = &buckets_[bucket].plans[rank_];
  const std::vector<PlanOp>& ops = flight.plan->ops;
  for (const PlanOp& op : ops) flight.waits_for.push_back(op.waits_for);
  flight.posted.resize(ops.size());
  flight.left = static_cast<int32_t>(ops.size());
  flights_.push_back(std::move(flight));
  if (ops.empty()) {
    Land(last_ticket_);
    return;
  }
  // Receives first, each in the plan's order.
  for (const bool sends : {true, false}) {
    for (int32_t i = static_cast<int32_t>(ops.size()) - 1; i >= 0; --i) {
      if (ops[i].waits_for == 0 && IsSend(ops[i]) == sends) ready_.emplace_back(last_ticket_, i);
    }
  }
  RunReady();
}

void CollectiveModel::RunReady() {
  while (!ready_.empty()) {
    const auto [ticket, op] = ready_.back();
    ready_.pop_back();
    StartOp(Find(ticket), op);
  }
}

void CollectiveModel::StartOp(Flight* flight, int32_t op) {
  const PlanOp& what = flight->plan->ops[op];
  if (what.kind == PlanOp::Kind::kAdd) {
    Done(flight, op);
    return;
  }
  if (IsSend(what)) {
    peers_[what.peer].waiting.push_back({flight->ticket, op});
    SendMore(what.peer);
    return;
  }
  if (early_.erase({what.peer, flight->step, flight->bucket, what.round, what.piece}) > 0) {
    Done(flight, op);
  } else {
    flight->posted[op] = true;
  }
}

void CollectiveModel::SendMore(int32_t peer_rank) {
  Peer& peer = peers_[peer_rank];
  while (!peer.waiting.empty()) {
    // The oldest collective's go first, of those the latest round's, of those the first.
    const auto next = std::min_element(
        peer.waiting.begin(), peer.waiting.end(), [this](const WaitingSend& a, const WaitingSend& b) {
          const auto order = [this](const WaitingSend& send) {
            return std::make_tuple(send.ticket, -int32_t{Find(send.ticket)->plan->ops[send.op].round}, send.op);
          };
          return order(a) < order(b);
        });
    const int64_t ticket = next->ticket;
    const int32_t op = next->op;
    const Flight& flight = *Find(ticket);
    const PlanOp& what = flight.plan->ops[op];
    const std::vector<int64_t>& sent_bytes = buckets_[flight.bucket].sent_bytes;
    const int64_t bytes = sent_bytes.empty() ? what.bytes : sent_bytes[rank_];
    if (peer.ahead_bytes > 0 && peer.ahead_bytes + bytes > limits_.ahead_bytes) return;
    peer.waiting.erase(next);
    peer.ahead_bytes += bytes;
    const MessageName name = {rank_, flight.step, flight.bucket, what.round, what.piece};
    network_->Send(
        rank_, peer_rank, bytes,
        [this, ticket, op, peer_rank, bytes] {
          peers_[peer_rank].ahead_bytes -= bytes;
          Done(Find(ticket), op);
          RunReady();
          SendMore(peer_rank);
        },
        [this, peer_rank, name] { models_[peer_rank]->OnMessage(name); });
  }
}

void CollectiveModel::OnMessage(const MessageName& name) {
  const auto& [from, step, bucket, round, piece] = name;
  for (Flight& flight : flights_) {
    if (flight.step != step || flight.bucket != bucket) continue;
    const std::vector<PlanOp>& ops = flight.plan->ops;
    for (size_t i = 0; i < ops.size(); ++i) {
      if (!flight.posted[i] || ops[i].peer != from || ops[i].round != round || ops[i].piece != piece) continue;
      flight.posted[i] = false;
      Done(&flight, static_cast<int32_t>(i));
      RunReady();
      return;
    }
  }
  early_.insert(name);
}

void CollectiveModel::Done(Flight* flight, int32_t op) {
  const Plan& plan = *flight->plan;
  for (int32_t i = plan.ops[op].next_begin; i < plan.ops[op].next_end; ++i) {
    if (--flight->waits_for[plan.next[i]] == 0) ready_.emplace_back(flight->ticket, plan.next[i]);
  }
  if (--flight->left == 0) Land(flight->ticket);
}

void CollectiveModel::Land(int64_t ticket) {
  const auto flight = std::find_if(flights_.begin(), flights_.end(),
                                   [=](const Flight& candidate) { return candidate.ticket == ticket; });
  const double decode = buckets_[flight->bucket].decode;
  flights_.erase(flight);
  const auto landed = [this] {
    --in_flight_;
    RunTasks();
  };
  // Tasks go on from an event of their own: whoever called this may be in the middle of some.
  queue_->After(decode, landed);
}

CollectiveModel::Flight* CollectiveModel::Find(int64_t ticket) {
  const auto flight = std::find_if(flights_.begin(), flights_.end(),
                                   [=](const Flight& candidate) { return candidate.ticket == ticket; });
  RM_CHECK(flight != flights_.end());
  return &*flight;
}

}  // namespace ringmaster
