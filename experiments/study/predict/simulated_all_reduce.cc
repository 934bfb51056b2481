#include "experiments/study/predict/simulated_all_reduce.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/collective/choice.h"
#include "common/scheme/scheme.h"
#include "experiments/study/predict/encoding_sizes.h"

namespace ringmaster {

SimulatedAllReduce::SimulatedAllReduce(int32_t rank, const AllReducePlan* plan,
                                       const std::vector<SimulatedAllReduce*>* ranks,
                                       SimulatedNetwork* network, EventQueue* queue, RankData* data)
    : rank_(rank),
      plan_(*plan),
      ranks_(*ranks),
      network_(network),
      queue_(queue),
      data_(data),
      core_(plan->scheme.workers, CollectiveLimits()),
      flights_(CollectiveLimits().in_flight_max),
      lost_(plan->scheme.workers),
      averaged_(plan->scheme.workers),
      equal_(plan->scheme.replicas == Replicas::kEqualAfterDrain),
      next_rounds_(plan->buckets.size()),
      started_(plan->buckets.size()) {}

void SimulatedAllReduce::BeginStep(int64_t step, EventQueue::Action go) {
  if (ExchangedIn(step) == Exchanged::kWeightsAhead) PostWeights(step, Summed::kExchanged);
  go();
}

void SimulatedAllReduce::GradReady(const Gradient& gradient) {
  if (ExchangedIn(gradient.step) != Exchanged::kGradients) return;
  Post({gradient.step, gradient.bucket});
  Work();
}

void SimulatedAllReduce::EndStep(int64_t step, EventQueue::Action go) {
  equal_ = AreEqualAfter(plan_.scheme, step);
  ended_.push_back(tasks_posted_);
  const auto delay = static_cast<size_t>(plan_.scheme.delay);
  const int64_t awaited = ended_.size() > delay ? ended_[ended_.size() - 1 - delay] : 0;
  if (ended_.size() > delay + 1) ended_.pop_front();
  if (ExchangedIn(step) != Exchanged::kWeightsAhead) return Await(awaited, std::move(go));
  Await(awaited, [this, go = std::move(go)] {
    if (data_ != nullptr) data_->TakeSum();
    go();
  });
}

void SimulatedAllReduce::Updated(int64_t step, EventQueue::Action go) {
  if (ExchangedIn(step) == Exchanged::kWeightsAfter) {
    PostWeights(step, Summed::kExchanged);
    return Await(tasks_posted_, [this, go = std::move(go)] {
      if (data_ != nullptr) data_->TakeSum();
      go();
    });
  }
  if (plan_.buckets.front().rounds.front().gathers == nullptr) return go();
  PostAll(step, Summed::kShares);
  Await(tasks_posted_, std::move(go));
}

void SimulatedAllReduce::Drain(EventQueue::Action done) {
  if (!plan_.scheme.marks_are_averages || equal_) return Await(tasks_posted_, std::move(done));
  PostWeights(/*step=*/-1, Summed::kAverage);
  Await(tasks_posted_, [this, done = std::move(done)] {
    if (data_ != nullptr) data_->TakeSumOfAll(averaged_);
    equal_ = plan_.scheme.replicas == Replicas::kEqualAfterDrain;
    done();
  });
}

void SimulatedAllReduce::Post(Task task) {
  task.after = ended_.empty() ? 0 : ended_.back();
  tasks_.push_back(task);
  ++tasks_posted_;
}

void SimulatedAllReduce::Await(int64_t tasks, EventQueue::Action go) {
  waiting_ = std::move(go);
  awaited_tasks_ = tasks;
  Work();
}

void SimulatedAllReduce::PostAll(int64_t step, Summed summed) {
  for (int32_t bucket = 0; bucket < static_cast<int32_t>(plan_.buckets.size()); ++bucket)
    Post({step, bucket, /*round=*/0, summed});
  Work();
}

void SimulatedAllReduce::PostWeights(int64_t step, Summed summed) {
  if (data_ != nullptr) data_->CopyWeights();
  PostAll(step, summed);
}

const std::vector<AllReducePlan::Round>& SimulatedAllReduce::RoundsOf(int64_t step,
                                                                      int32_t bucket) const {
  const AllReducePlan::OfBucket& own = plan_.buckets[bucket];
  // The average of a drain is of no step.
  return step >= 0 && step < plan_.warmup_steps ? own.warmup_rounds : own.rounds;
}

const Plan& SimulatedAllReduce::PlanOf(const Task& task) const {
  const AllReducePlan::Round& round = RoundOf(task);
  if (task.summed == Summed::kShares) return (*round.gathers)[rank_];
  if (task.summed == Summed::kAverage)
    return averages_.empty() ? (*round.averages)[rank_] : averages_[task.bucket];
  const auto& plans = round.plans;
  const int64_t exchange = task.step / plan_.scheme.exchange_every;
  return (*plans[exchange % static_cast<int64_t>(plans.size())])[rank_];
}

void SimulatedAllReduce::Work() {
  while (!busy_ && WorkOnce()) {
  }
  if (waiting_ && !busy_ && tasks_done_ >= awaited_tasks_) std::exchange(waiting_, nullptr)();
}

// In the order of ExchangeThread and of what it runs: messages that have arrived are decoded before
// anything else is looked at, and tasks come before messages.
bool SimulatedAllReduce::WorkOnce() {
  if (!landed_.empty()) {
    const int32_t flight = landed_.front();
    landed_.pop_front();
    Decode(flight);
    return true;
  }
  if (plan_.in_rounds && StartLater()) return true;
  if (!tasks_.empty() && StartTask()) return true;
  if (done_.empty()) return false;
  const OpRef ref = done_.front();
  done_.pop_front();
  core_.MessageDone(ref, /*in_place=*/false, &actions_);
  Act();
  return true;
}

bool SimulatedAllReduce::StartTask() {
  const Task task = tasks_.front();
  // The thread is still at the end of the step before.
  if (tasks_done_ < task.after) return false;
  const AllReducePlan::OfBucket& bucket = plan_.buckets[task.bucket];
  if (task.bucket == 0 && !is_encoded_) begun_ = later_ = 0;
  if (plan_.in_rounds && later_ <= task.bucket - kReducedInFlightMax) return false;
  if (plan_.encoded_max > 0 && !is_encoded_) {
    if (encodings_ == plan_.encoded_max) return false;
    ++encodings_;
    is_encoded_ = busy_ = true;
    queue_->After(bucket.encode, [this, task] {
      if (data_ != nullptr) data_->Encode(task.step, task.bucket);
      busy_ = false;
      Work();
    });
    return true;
  }
  if (!HasRoom(task)) return false;
  tasks_.pop_front();
  is_encoded_ = false;
  begun_ = task.bucket + 1;
  begun_step_ = task.step;
  Launch(task);
  return true;
}

bool SimulatedAllReduce::HasRoom(const Task& task) const {
  return core_.HasRoom({&PlanOf(task), RoundOf(task).bytes});
}

bool SimulatedAllReduce::StartLater() {
  const auto count = static_cast<int32_t>(plan_.buckets.size());
  bool has_started = false;
  for (; later_ < begun_; ++later_) {
    const auto rounds = static_cast<int32_t>(RoundsOf(begun_step_, later_).size());
    const bool is_due = begun_ == count || later_ + kReducedInFlightMax <= begun_;
    const Task task = std::exchange(next_rounds_[later_], Task());
    if (task.round > 0 && (!is_due || !HasRoom(task))) {
      next_rounds_[later_] = task;
      return has_started;
    }
    if (task.round > 0) {
      Launch(task);
      has_started = true;
    }
    if (started_[later_] < rounds) return has_started;
  }
  return has_started;
}

void SimulatedAllReduce::Launch(const Task& task) {
  const Plan& plan = PlanOf(task);
  const CollectiveCore::Started started = core_.Start({&plan, RoundOf(task).bytes}, &actions_);
  started_[task.bucket] = task.round + 1;
  flights_[started.flight] = task;
  if (trace_.Wants(task.step)) trace_.BeginExchange(task.step, task.bucket);
  if (data_ != nullptr) StartData(task, started.flight, plan);
  Act();
}

void SimulatedAllReduce::StartData(const Task& task, int32_t flight, const Plan& plan) {
  if (task.summed == Summed::kShares) return data_->StartWeights(flight, task.bucket, plan);
  if (task.summed == Summed::kExchanged && ExchangedIn(task.step) == Exchanged::kGradients)
    return data_->Start(flight, task.step, task.bucket, plan);
  if (task.summed == Summed::kExchanged && plan_.is_apart)
    return data_->StartApart(flight, task.bucket, plan);
  data_->StartCopy(flight, task.bucket, plan);
}

void SimulatedAllReduce::Act() {
  using Kind = CollectiveAction::Kind;
  for (const CollectiveAction& action : actions_) {
    const OpRef ref = action.op;
    switch (action.kind) {
      case Kind::kReceive:
        Expect(ref);
        break;
      case Kind::kSend:
        Send(ref);
        break;
      case Kind::kAdd:
        if (data_ != nullptr) data_->Add(ref.flight, core_.OpOf(ref));
        break;
      case Kind::kFinished:
        landed_.push_back(ref.flight);
        break;
      case Kind::kAddLent:
      case Kind::kAddBoth:
      case Kind::kAnswer:
      case Kind::kReturn:
        RM_CHECK(false);  // nothing is lent here
    }
  }
  actions_.clear();
}

void SimulatedAllReduce::Expect(OpRef ref) {
  const PlanOp& op = core_.OpOf(ref);
  const MessageName name = NameOf(ref, op.peer);
  const auto early = early_.find(name);
  if (lost_[op.peer]) {
    if (data_ != nullptr) data_->Lose(op.peer);
    done_.push_back(ref);
  } else if (early == early_.end()) {
    posted_[name] = ref;
  } else {
    const Payload payload = std::move(early->second);
    early_.erase(early);
    Take(ref, payload);
  }
}

void SimulatedAllReduce::OnLost(int32_t rank) {
  RM_CHECK(watches_waits_ && plan_.is_apart);
  lost_[rank] = true;
  const size_t done = done_.size();
  EndAll(rank, &posted_);
  if (done_.size() > done && data_ != nullptr) data_->Lose(rank);
  EndAll(rank, &sending_);
  Work();
}

void SimulatedAllReduce::EndAll(int32_t rank, absl::flat_hash_map<MessageName, OpRef>* operations) {
  std::vector<MessageName> its;
  for (const auto& [name, ref] : *operations) {
    if (core_.OpOf(ref).peer == rank) its.push_back(name);
  }
  std::sort(its.begin(), its.end());  // in the same order in every run
  for (const MessageName name : its) {
    done_.push_back(operations->at(name));
    operations->erase(name);
  }
}

void SimulatedAllReduce::LeaveOut(int32_t workers, std::vector<Plan> averages) {
  averaged_ = workers;
  averages_ = std::move(averages);
}

SimulatedAllReduce::MessageName SimulatedAllReduce::NameOf(OpRef ref, int32_t from) const {
  const PlanOp& op = core_.OpOf(ref);
  const auto ticket = static_cast<uint16_t>(core_.TicketOf(ref));
  return uint64_t{ticket} << 48 | uint64_t{static_cast<uint16_t>(from)} << 32 |
         uint64_t{op.round} << 16 | op.piece;
}

std::vector<SimulatedExchange::Awaited> SimulatedAllReduce::awaited() const {
  std::vector<Awaited> all;
  for (const auto* const operations : {&posted_, &sending_}) {
    for (const auto& [name, ref] : *operations) {
      const MessageEnd end = EndOf(ref, nullptr);
      all.push_back({end.peer, end.tag, operations == &sending_});
    }
  }
  return all;
}

int64_t SimulatedAllReduce::PlannedBytes(OpRef ref) const {
  const PlanOp& op = core_.OpOf(ref);
  const bool is_whole =
      op.kind == PlanOp::Kind::kGatherSend || op.kind == PlanOp::Kind::kGatherReceive;
  if (!is_whole) return op.bytes;
  const Task& task = flights_[ref.flight];
  if (plan_.sizes == nullptr) return RoundOf(task).bytes;
  return plan_.sizes->Up({task.step, IsSend(op) ? rank_ : op.peer, /*server=*/0, task.bucket});
}

MessageEnd SimulatedAllReduce::EndOf(OpRef ref, const Payload& payload) const {
  const PlanOp& op = core_.OpOf(ref);
  const Task& task = flights_[ref.flight];
  MessageEnd end;
  end.peer = {Role::kWorker, op.peer};
  end.tag = {MessageKind::kCollective, op.round, task.bucket, task.step};
  end.tag.piece = op.piece;
  end.tag.channel = static_cast<uint16_t>(task.round);
  end.step = task.step;
  end.payload_bytes = BytesOf(payload, PlannedBytes(ref));
  return end;
}

void SimulatedAllReduce::Send(OpRef ref) {
  const PlanOp& op = core_.OpOf(ref);
  if (lost_[op.peer]) return done_.push_back(ref);
  const Payload payload = data_ != nullptr ? data_->Send(ref.flight, op) : nullptr;
  const int64_t bytes = BytesOf(payload, PlannedBytes(ref));
  // As in a record, what a drain brings is no part of the traffic.
  const int64_t counted = flights_[ref.flight].summed == Summed::kAverage ? 0 : bytes;
  traffic_.up += counted;
  if (trace_.Wants(flights_[ref.flight].step)) trace_.Sent(EndOf(ref, payload));
  if (watches_waits_) sending_[NameOf(ref, op.peer)] = ref;
  SimulatedAllReduce* const peer = plan_.merged ? this : ranks_[op.peer];
  const int32_t sender =
      plan_.merged ? (plan_.scheme.workers - op.peer) % plan_.scheme.workers : rank_;
  network_->Send(
      rank_, op.peer, bytes,
      [this, ref, payload] {
        CheckUnchanged(payload);
        if (watches_waits_) sending_.erase(NameOf(ref, core_.OpOf(ref).peer));
        if (trace_.Wants(flights_[ref.flight].step)) trace_.Left();
        done_.push_back(ref);
        Work();
      },
      [peer, name = NameOf(ref, sender), payload, counted] {
        peer->traffic_.down += counted;
        peer->OnMessage(name, payload);
      });
}

void SimulatedAllReduce::OnMessage(MessageName name, const Payload& payload) {
  const auto posted = posted_.find(name);
  if (posted == posted_.end()) {
    early_[name] = payload;
    return;
  }
  const OpRef ref = posted->second;
  posted_.erase(posted);
  Take(ref, payload);
  Work();
}

// A transport puts the bytes where they belong as soon as they are there and expected; the thread
// hears of it later.
void SimulatedAllReduce::Take(OpRef ref, const Payload& payload) {
  if (trace_.Wants(flights_[ref.flight].step)) trace_.Received(EndOf(ref, payload));
  if (data_ != nullptr) data_->Receive(ref.flight, core_.OpOf(ref), payload);
  done_.push_back(ref);
}

void SimulatedAllReduce::Decode(int32_t flight) {
  if (plan_.encoded_max == 0) {
    if (data_ != nullptr) data_->Finish(flight);
    ++tasks_done_;
    return;
  }
  busy_ = true;
  const Task task = flights_[flight];
  const AllReducePlan::OfBucket& bucket = plan_.buckets[task.bucket];
  const bool is_last =
      task.round + 1 == static_cast<int32_t>(RoundsOf(task.step, task.bucket).size());
  queue_->After(is_last ? bucket.decode : bucket.between, [this, flight, task, is_last] {
    if (data_ != nullptr) data_->Finish(flight);
    if (is_last) {
      --encodings_;
      ++tasks_done_;
    } else {
      next_rounds_[task.bucket] = {task.step, task.bucket, task.round + 1};
    }
    busy_ = false;
    Work();
  });
}

}  // namespace ringmaster
