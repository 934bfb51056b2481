#include "experiments/study/predict/simulated_cluster.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "common/trace/phase.h"
#include "proto/run_spec.pb.h"
#include "server/server_core.h"

namespace ringmaster {
namespace {

// A worker that exchanges nothing.
class NoExchange : public SimulatedExchange {
 public:
  void BeginStep(int64_t step, EventQueue::Action go) override { go(); }
  void GradReady(const Gradient& gradient) override {}
  void EndStep(int64_t step, EventQueue::Action go) override { go(); }
  void Drain(EventQueue::Action done) override { done(); }
  void TakeLeave() override {}
  int64_t lag() const override { return 1; }
  bool updates() const override { return true; }
};

// The element of a list that may be empty.
template <typename T>
T* At(const std::vector<T*>& list, int32_t index) {
  return list.empty() ? nullptr : list[index];
}

}  // namespace

absl::StatusOr<ClusterPlan> PlanCluster(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                        const Costs& costs, bool merged) {
  ClusterPlan plan;
  const SchemeTraits traits = TraitsOf(spec);
  const int32_t workers = traits.workers;
  if (!traits.collective.empty() || traits.gossip.has_value()) {
    RM_ASSIGN_OR_RETURN(plan.all_reduce, PlanAllReduce(spec, buckets, costs.codec, merged));
    for (const AllReducePlan::OfBucket& bucket : plan.all_reduce.buckets) {
      const auto others = static_cast<double>(bucket.rounds.size() - 1);
      plan.work += workers * (bucket.encode + others * bucket.between + bucket.decode);
    }
  } else if (traits.weights == WeightHolder::kServers) {
    RM_ASSIGN_OR_RETURN(plan.parts, PlanParts(spec, buckets, costs));
    const int32_t steps = std::max(1, traits.local_steps);  // of an exchange
    const int32_t updates = traits.updates == Updates::kOnArrival ? workers : 1;
    for (const std::vector<PartCosts>& parts : plan.parts.parts) {
      for (const PartCosts& part : parts)
        plan.work += (workers * (part.encode + part.add) + updates * part.update) / steps;
    }
  }
  return plan;
}

EncodedRun EncodedRunOf(const RunSpec& spec, const ParamLayout& layout) {
  const SchemeTraits traits = TraitsOf(spec);
  return {&spec.model(), &spec.codec(),  DownCodecOf(spec),
          &layout,       traits.servers, traits.local_steps};
}

void SimulatedStepThread::Run(int64_t last, EventQueue::Action done) {
  last_ = last;
  done_ = std::move(done);
  Begin();
}

void SimulatedStepThread::RunClaimed(ClaimDealer* dealer, EventQueue::Action done) {
  const auto ask = [this, dealer] {
    const absl::StatusOr<LotClaim> claim = dealer->Ask(seat_.rank, 1);
    RM_CHECK(claim.ok());
    Claimed(claim->count == 0 ? std::nullopt : std::optional<int64_t>(claim->first));
  };
  RunClaimed(ask, std::move(done));
}

void SimulatedStepThread::RunClaimed(std::function<void()> ask, EventQueue::Action done) {
  ask_ = std::move(ask);
  done_ = std::move(done);
  ask_();
  Begin();
}

void SimulatedStepThread::Claimed(std::optional<int64_t> lot) {
  next_ = lot;
  is_answered_ = true;
  if (std::exchange(awaits_lot_, false)) Begin();
}

bool SimulatedStepThread::HasWork() {
  if (!ask_) return step_ < last_;
  if (!next_.has_value()) return false;
  current_.lot = *next_;
  is_answered_ = false;
  ask_();
  return true;
}

void SimulatedStepThread::Begin() {
  current_ = {};
  awaits_lot_ = ask_ && !is_answered_;
  if (awaits_lot_) return Enter("load");
  if (!HasWork()) return std::exchange(done_, nullptr)();
  begin_ = queue_->now();
  Enter("load");
  queue_->After(costs_.compute.load, [this] {
    Enter("gate");
    wait_begin_ = queue_->now();
    exchange_->BeginStep(step_, [this] { Compute(); });
  });
}

void SimulatedStepThread::Compute() {
  current_.gated = current_.exposed = queue_->now() - wait_begin_;
  step_ = exchange_->begun_step(step_);
  if (!ask_ && step_ >= last_) return std::exchange(done_, nullptr)();
  Enter("forward");
  if (step_ == exchange_->lag()) first_exchange_ = queue_->now();
  if (!ask_) current_.lot = step_ * seat_.ranks + seat_.rank;
  if (data_ != nullptr) data_->Compute(step_, current_.lot);
  const double delay = costs_.delay ? costs_.delay(seat_.rank, step_) : 0;
  const double compute = costs_.compute.compute *
                         (costs_.factors.empty() ? 1 : costs_.factors[seat_.rank]) *
                         (costs_.stretch ? costs_.stretch(seat_.rank, step_) : 1) *
                         (1 + seat_.drift * (2 * random_.Uniform() - 1));
  current_.computed =
      costs_.compute.load + delay + compute + exchange_->update_share() * costs_.compute.update;
  const std::vector<double>& ready = costs_.compute.bucket_ready;
  for (size_t bucket = 0; bucket < ready.size(); ++bucket) {
    queue_->After(delay + ready[bucket] * compute, [this, bucket] {
      exchange_->GradReady({step_, current_.lot, static_cast<int32_t>(bucket)});
    });
  }
  queue_->After(delay + compute, [this] { EndStep(); });
}

void SimulatedStepThread::EndStep() {
  if (exchange_->updates() && exchange_->updates_first()) {
    Enter("update");
    if (data_ != nullptr) data_->Update(step_);
    queue_->After(costs_.compute.update, [this] {
      Enter("exchange");
      wait_begin_ = queue_->now();
      exchange_->EndStep(step_, [this] {
        current_.exposed += queue_->now() - wait_begin_;
        Finish();
      });
    });
    return;
  }
  Enter("exchange");
  wait_begin_ = queue_->now();
  exchange_->EndStep(step_, [this] {
    current_.exposed += queue_->now() - wait_begin_;
    Enter("update");
    const int64_t updated = step_ - exchange_->delay();
    if (updated >= 0) Update(updated);
    queue_->After(updated < 0 ? 0 : exchange_->update_share() * costs_.compute.update, [this] {
      Enter("exchange");
      wait_begin_ = queue_->now();
      exchange_->Updated(step_, [this] {
        current_.exposed += queue_->now() - wait_begin_;
        Finish();
      });
    });
  });
}

void SimulatedStepThread::Update(int64_t step) {
  if (data_ != nullptr && exchange_->updates()) data_->Update(step);
}

std::vector<SpanEvent> SimulatedStepThread::Spans(const TracedSteps& traced,
                                                  double backward_share) const {
  const double load = costs_.compute.load;
  const double update = exchange_->update_share() * costs_.compute.update;
  const auto time = [](double seconds) {
    return Clock::time_point(std::chrono::nanoseconds(std::llround(1e9 * seconds)));
  };
  std::vector<SpanEvent> spans;
  const auto end = std::min(traced.end, static_cast<int64_t>(done_steps_.size()));
  for (int64_t i = traced.begin; i < end; ++i) {
    const Step& step = done_steps_[i];
    double at = step.end - step.whole;
    spans.push_back({"step", i, -1, time(at), time(step.end)});
    const auto add = [&](Phase phase, double seconds) {
      if (seconds > 0) spans.push_back({PhaseName(phase), i, -1, time(at), time(at + seconds)});
      at += seconds;
    };
    add(Phase::kLoad, load);
    add(Phase::kGate, step.gated);
    add(Phase::kForward, (1 - backward_share) * (step.computed - load - update));
    add(Phase::kBackward, backward_share * (step.computed - load - update));
    if (exchange_->updates_first()) add(Phase::kUpdate, update);
    add(Phase::kExposed, step.exposed - step.gated);
    if (!exchange_->updates_first()) add(Phase::kUpdate, update);
  }
  return spans;
}

void SimulatedStepThread::Drain(EventQueue::Action done) {
  Enter("drain");
  exchange_->Drain([this, done = std::move(done)] {
    for (int64_t step = std::max<int64_t>(0, step_ - exchange_->delay()); step < step_; ++step)
      Update(step);
    done();
  });
}

void SimulatedStepThread::Finish() {
  current_.end = queue_->now();
  current_.whole = current_.end - begin_;
  done_steps_.push_back(current_);
  if (data_ != nullptr) data_->StepEnded(step_);
  ++step_;
  Begin();
}

absl::StatusOr<std::unique_ptr<SimulatedCluster>> SimulatedCluster::Create(
    const RunSpec& spec, const ClusterPlan& plan, const Costs& costs, double drift,
    const ClusterData& data) {
  std::unique_ptr<SimulatedCluster> cluster(new SimulatedCluster(costs.network, data.queue));
  const SchemeTraits traits = TraitsOf(spec);
  cluster->all_workers_ = traits.workers;
  const int32_t workers = plan.all_reduce.merged ? 1 : traits.workers;
  if (!traits.collective.empty() || traits.gossip.has_value()) {
    cluster->AddRanks(plan, workers, data);
  } else if (traits.weights == WeightHolder::kServers) {
    RM_RETURN_IF_ERROR(cluster->AddServers(spec, plan, data));
  } else {
    for (int32_t rank = 0; rank < workers; ++rank)
      cluster->exchanges_.push_back(std::make_unique<NoExchange>());
  }
  for (int32_t rank = 0; rank < workers; ++rank) {
    cluster->threads_.push_back(std::make_unique<SimulatedStepThread>(
        SimulatedStepThread::Seat{rank, spec.training().workers(), drift}, costs,
        cluster->exchanges_[rank].get(), &cluster->queue_, At(data.steps, rank)));
  }
  return cluster;
}

void SimulatedCluster::AddRanks(const ClusterPlan& plan, int32_t workers, const ClusterData& data) {
  ranks_.resize(workers);
  for (int32_t rank = 0; rank < workers; ++rank) {
    auto exchange = std::make_unique<SimulatedAllReduce>(rank, &plan.all_reduce, &ranks_, &network_,
                                                         &queue_, At(data.ranks, rank));
    ranks_[rank] = exchange.get();
    exchanges_.push_back(std::move(exchange));
  }
}

absl::Status SimulatedCluster::AddServers(const RunSpec& spec, const ClusterPlan& plan,
                                          const ClusterData& data) {
  const auto buckets = static_cast<int32_t>(plan.parts.parts.front().size());
  const std::vector<Range> no_parts(buckets);
  const int32_t workers = spec.training().workers();
  for (int32_t index = 0; index < TraitsOf(spec).servers; ++index) {
    ServerData* const server_data = At(data.servers, index);
    const std::vector<Range>& parts = server_data == nullptr ? no_parts : data.parts[index];
    RM_ASSIGN_OR_RETURN(auto update, ShardRuleOf(spec, parts, data.statistics));
    owned_servers_.push_back(std::make_unique<SimulatedServer>(
        ServingPlanOf(spec, index, parts), std::move(update), &plan.parts, &ps_workers_, &network_,
        &queue_, server_data));
    servers_.push_back(owned_servers_.back().get());
  }
  for (int32_t rank = 0; rank < workers; ++rank) {
    auto exchange =
        std::make_unique<SimulatedPsWorker>(WorkerPlanOf(spec, rank, buckets), &plan.parts,
                                            &servers_, &network_, &queue_, At(data.workers, rank));
    ps_workers_.push_back(exchange.get());
    exchanges_.push_back(std::move(exchange));
  }
  return absl::OkStatus();
}

void SimulatedCluster::Trace(const TraceExtent& extent) {
  for (const auto& exchange : exchanges_) exchange->Trace(SimulatedTrace(extent, &queue_));
  for (SimulatedServer* const server : servers_) server->Trace(extent);
}

std::vector<ThreadEvents> SimulatedCluster::Traces(int32_t rank, const TracedSteps& traced,
                                                   double backward_share) const {
  const int32_t played = workers() == 1 ? 0 : rank;
  ThreadEvents step;
  step.node = ToString(NodeId{Role::kWorker, rank});
  step.thread = "step";
  step.spans = threads_[played]->Spans(traced, backward_share);
  ThreadEvents exchange = exchanges_[played]->trace().Events(step.node, "exchange");
  // The peers of others are as many ranks on.
  for (auto* const messages : {&exchange.sent, &exchange.received}) {
    for (MessageEvent& message : *messages) {
      if (rank != played)
        message.end.peer.index = (message.end.peer.index + rank - played) % all_workers_;
    }
  }
  return {step, exchange};
}

absl::Status SimulatedCluster::Run(const std::function<bool()>& stop) {
  while (network_.status().ok() && !stop() && queue_.RunNext()) {
  }
  return network_.status();
}

}  // namespace ringmaster
