#include "experiments/study/predict/server_model.h"

#include <algorithm>
#include <utility>

namespace ringmaster {
namespace {

void Nothing() {}

int32_t BucketCount(const ServerPlan& plan) { return static_cast<int32_t>(plan.push_bytes.front().size()); }

int32_t ServerCount(const ServerPlan& plan) { return static_cast<int32_t>(plan.push_bytes.size()); }

}  // namespace

ServerModel::ServerModel(int32_t index, const ServerPlan* plan, const std::vector<ServerExchangeModel*>* workers,
                         SimulatedNetwork* network, EventQueue* queue)
    : index_(index),
      plan_(*plan),
      workers_(*workers),
      network_(network),
      queue_(queue),
      contributions_(BucketCount(*plan)),
      clocks_(plan->workers, BucketCount(*plan)),
      pulls_(plan->workers) {}

void ServerModel::Work(double seconds, EventQueue::Action action) {
  free_ = std::max(free_, queue_->now()) + seconds;
  queue_->After(free_ - queue_->now(), std::move(action));
}

void ServerModel::OnPush(int32_t worker, int32_t bucket) {
  Work(plan_.add[index_][bucket], [this, worker, bucket] {
    if (!plan_.bsp) {
      Work(plan_.update[index_][bucket], [this, worker, bucket] {
        clocks_.PartApplied(worker, bucket);
        AnswerPulls();
      });
      return;
    }
    if (++contributions_[bucket] < plan_.workers) return;
    contributions_[bucket] = 0;
    if (!plan_.updates_together) {
      ApplySum(bucket);
    } else if (++complete_ == BucketCount(plan_)) {
      complete_ = 0;
      for (int32_t part = 0; part < BucketCount(plan_); ++part) ApplySum(part);
    }
  });
}

void ServerModel::ApplySum(int32_t bucket) {
  Work(plan_.update[index_][bucket], [this, bucket] { SendPart(bucket); });
}

void ServerModel::SendPart(int32_t bucket) {
  for (int32_t i = 1; i <= plan_.workers; ++i) {
    const int32_t worker = (index_ + i) % plan_.workers;
    network_->Send(plan_.server_process[index_], plan_.worker_process[worker], plan_.weight_bytes[index_][bucket],
                   Nothing, [this, worker] { workers_[worker]->OnWeights(); });
  }
}

void ServerModel::OnPull(int32_t worker, int64_t clock) {
  Work(0, [this, worker, clock] {
    pulls_[worker] = clock;
    AnswerPulls();
  });
}

bool ServerModel::MayAnswer(int32_t worker) const {
  const int64_t clock = *pulls_[worker];
  // A request may overtake the pushes before it.
  if (clocks_.clock(worker) < clock) return false;
  return !plan_.staleness_bound || clocks_.slowest() >= clock - *plan_.staleness_bound;
}

void ServerModel::AnswerPulls() {
  for (int32_t worker = 0; worker < plan_.workers; ++worker) {
    if (!pulls_[worker] || !MayAnswer(worker)) continue;
    pulls_[worker].reset();
    Answer(worker);
  }
}

void ServerModel::Answer(int32_t worker) {
  const auto send = [this, worker](int64_t bytes) {
    network_->Send(plan_.server_process[index_], plan_.worker_process[worker], bytes, Nothing,
                   [this, worker] { workers_[worker]->OnWeights(); });
  };
  for (const int64_t bytes : plan_.weight_bytes[index_]) send(bytes);
  send(0);
}

ServerExchangeModel::ServerExchangeModel(int32_t rank, const ServerPlan* plan, const std::vector<ServerModel*>* servers,
                                         SimulatedNetwork* network, EventQueue* queue)
    : rank_(rank), plan_(*plan), servers_(*servers), network_(network), queue_(queue) {}

void ServerExchangeModel::BeginStep(int64_t step, EventQueue::Action go) {
  waiting_ = std::move(go);
  needs_ended_ = step - plan_.lag + 1;
  LetGo();
}

void ServerExchangeModel::GradReady(int64_t step, int32_t bucket) {
  tasks_.push_back({step, bucket});
  RunTasks();
}

void ServerExchangeModel::EndStep(int64_t step, EventQueue::Action go) {
  tasks_.push_back({step, -1});
  RunTasks();
  go();
}

void ServerExchangeModel::RunTasks() {
  if (busy_ || tasks_.empty()) return;
  const Task task = tasks_.front();
  tasks_.pop_front();
  busy_ = true;
  if (task.bucket >= 0) {
    Push(task.bucket, 1);
    return;
  }
  awaited_ = int64_t{ServerCount(plan_)} * (BucketCount(plan_) + (plan_.bsp ? 0 : 1));
  if (!plan_.bsp) {
    for (int32_t server = 0; server < ServerCount(plan_); ++server) {
      network_->Send(plan_.worker_process[rank_], plan_.server_process[server], 0, Nothing,
                     [this, server, step = task.step] { servers_[server]->OnPull(rank_, step + 1); });
    }
  }
  FinishStep();
}

void ServerExchangeModel::Push(int32_t bucket, int32_t turn) {
  if (turn > ServerCount(plan_)) {
    busy_ = false;
    RunTasks();
    return;
  }
  const int32_t server = (rank_ + turn) % ServerCount(plan_);
  queue_->After(plan_.encode[server][bucket], [this, bucket, turn, server] {
    network_->Send(plan_.worker_process[rank_], plan_.server_process[server], plan_.push_bytes[server][bucket], Nothing,
                   [this, server, bucket] { servers_[server]->OnPush(rank_, bucket); });
    Push(bucket, turn + 1);
  });
}

void ServerExchangeModel::OnWeights() {
  ++messages_;
  FinishStep();
}

void ServerExchangeModel::FinishStep() {
  if (awaited_ == 0 || messages_ < awaited_) return;
  messages_ -= awaited_;
  awaited_ = 0;
  ++ended_;
  busy_ = false;
  LetGo();
  RunTasks();
}

void ServerExchangeModel::LetGo() {
  if (!waiting_ || ended_ < needs_ended_) return;
  const EventQueue::Action go = std::exchange(waiting_, nullptr);
  go();
}

}  // namespace ringmaster
