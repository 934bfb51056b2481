#include "experiments/study/predict/simulate.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/collective/executor.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/config/describe.h"
#include "common/engine/engines.h"
#include "common/exchange/parts.h"
#include "experiments/program/run/placement.h"
#include "experiments/study/predict/collective_model.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/exchange_model.h"
#include "experiments/study/predict/simulated_network.h"
#include "experiments/study/predict/server_model.h"

namespace ringmaster {
namespace {

// Steps played, and those of the beginning that do not count: arms without a common beat settle within some.
constexpr int64_t kSteps = 70;
constexpr int64_t kStepsToSettle = 30;
// Where nobody keeps workers in step, each step's computing takes up to so much less or more of itself, as it does in a
// run, and workers begin one after the other. Without both all would push at once and pull at once for ever, and leave
// half of every card idle.
constexpr double kDrift = 0.05;
// Enough to see the end of the first step's exchange.
constexpr int64_t kStepsAlone = 3;
// Encoded buckets in flight of an all-reduce (worker/strategy/all_reduce/executor_sum.cc).
constexpr int32_t kEncodedInFlightMax = 4;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// A worker that exchanges nothing.
class NoExchange : public ExchangeModel {
 public:
  void BeginStep(int64_t step, EventQueue::Action go) override { go(); }
  void GradReady(int64_t step, int32_t bucket) override {}
  void EndStep(int64_t step, EventQueue::Action go) override { go(); }
  int64_t lag() const override { return 1; }
  bool updates() const override { return true; }
};

// The step thread of one rank.
class StepThread {
 public:
  // `drift`: of this worker's computing, in [0, 1).
  StepThread(int32_t rank, int64_t steps, double drift, const Costs& costs, ExchangeModel* exchange, EventQueue* queue)
      : rank_(rank), steps_(steps), drift_(drift), costs_(costs), exchange_(exchange), queue_(queue), random_(rank) {}

  void Start() {
    if (step_ == steps_) return;
    begin_ = queue_->now();
    waited_ = 0;
    queue_->After(costs_.compute.load, [this] {
      mark_ = queue_->now();
      exchange_->BeginStep(step_, [this] { Compute(); });
    });
  }

  // In seconds, of the steps that count.
  std::vector<double> steps;
  double exposed = 0;  // all together
  double compute = 0;
  // When the exchange of step 0 was over.
  double first_exchange = 0;

 private:
  void Compute() {
    waited_ += queue_->now() - mark_;
    if (step_ == exchange_->lag()) first_exchange = queue_->now();
    const double delay = costs_.delay ? costs_.delay(rank_, step_) : 0;
    const double compute = costs_.compute.compute * (costs_.factors.empty() ? 1 : costs_.factors[rank_]) *
                           (1 + drift_ * (2 * random_.Uniform() - 1));
    computed_ = costs_.compute.load + delay + compute + (exchange_->updates() ? costs_.compute.update : 0);
    const std::vector<double>& ready = costs_.compute.bucket_ready;
    for (size_t bucket = 0; bucket < ready.size(); ++bucket) {
      queue_->After(delay + ready[bucket] * compute,
                    [this, bucket] { exchange_->GradReady(step_, static_cast<int32_t>(bucket)); });
    }
    queue_->After(delay + compute, [this] {
      mark_ = queue_->now();
      exchange_->EndStep(step_, [this] {
        waited_ += queue_->now() - mark_;
        queue_->After(exchange_->updates() ? costs_.compute.update : 0, [this] { Finish(); });
      });
    });
  }

  void Finish() {
    if (step_ >= kStepsToSettle) {
      steps.push_back(queue_->now() - begin_);
      exposed += waited_;
      compute += computed_;
    }
    ++step_;
    Start();
  }

  const int32_t rank_;
  const int64_t steps_;
  const double drift_;
  const Costs& costs_;
  ExchangeModel* const exchange_;
  EventQueue* const queue_;
  Random random_;
  int64_t step_ = 0;
  double begin_ = 0;
  double mark_ = 0;
  double waited_ = 0;
  double computed_ = 0;
};

// Everything of one simulation.
class Simulation {
 public:
  Simulation(const RunSpec& spec, absl::Span<const Bucket> buckets, const Costs& costs)
      : spec_(spec), buckets_(buckets), costs_(costs), workers_(TrainingWorkers(spec)), network_(costs.network, &queue_) {}

  // Once. Workers begin `stagger` seconds one after the other.
  absl::Status Run(int64_t steps, double stagger) {
    RM_ASSIGN_OR_RETURN(codec_, CreateCodec(spec_.codec()));
    if (spec_.strategy().has_all_reduce()) {
      RM_RETURN_IF_ERROR(AddCollective());
    } else if (spec_.strategy().has_parameter_server()) {
      AddServers();
    } else {
      for (int32_t rank = 0; rank < workers_; ++rank) exchanges_.push_back(std::make_unique<NoExchange>());
    }
    const double drift = UpdatesOnArrival(spec_.strategy()) ? kDrift : 0;
    for (int32_t rank = 0; rank < workers_; ++rank) {
      threads_.push_back(std::make_unique<StepThread>(rank, steps, drift, costs_, exchanges_[rank].get(), &queue_));
    }
    for (int32_t rank = 0; rank < workers_; ++rank) {
      queue_.After(rank * stagger, [this, rank] { threads_[rank]->Start(); });
    }
    while (network_.status().ok() && queue_.RunNext()) {
    }
    return network_.status();
  }

  double step() const {
    std::vector<double> steps;
    for (const auto& thread : threads_) steps.insert(steps.end(), thread->steps.begin(), thread->steps.end());
    RM_CHECK(steps.size() == static_cast<size_t>(workers_) * (kSteps - kStepsToSettle));  // else the run stands still
    return Median(std::move(steps));
  }
  double exposed() const { return Mean(&StepThread::exposed); }
  double compute() const { return Mean(&StepThread::compute); }
  // What a step takes at least where all of its work shares the cores, busy all the time: computing was measured with
  // as many workers on them. A worker that is slowed sleeps.
  double crowded_step() const {
    const CoreCosts& cores = costs_.cores;
    if (cores.cores <= 0) return 0;
    const ComputeCosts& own = costs_.compute;
    const double computed = own.load + own.compute + (exchanges_[0]->updates() ? own.update : 0);
    const double busy = cores.computes ? std::min(workers_, cores.cores) * computed : 0;
    const double messages = (network_.messages() * cores.message + network_.bytes() * cores.byte) / kSteps;
    return (busy + messages + work_) / cores.cores;
  }
  double first_exchange() const {
    double last = 0;
    for (const auto& thread : threads_) last = std::max(last, thread->first_exchange);
    return last;
  }

 private:
  double Mean(double StepThread::*total) const {
    double sum = 0;
    for (const auto& thread : threads_) sum += (*thread).*total;
    return sum / static_cast<double>(workers_ * (kSteps - kStepsToSettle));
  }

  absl::Status AddCollective() {
    const bool exact = codec_->traits().exact;
    const bool summed = exact || codec_->traits().summable_on_wire;
    const int64_t element_bytes = exact ? ElementBytes(ElementType::kFloat32) : ElementBytes(ElementType::kFloat16);
    for (const Bucket& bucket : buckets_) {
      BucketPlans& plans = bucket_plans_.emplace_back();
      plans.encode = costs_.codec.encode * static_cast<double>(bucket.count);
      plans.decode = costs_.codec.decode * static_cast<double>(bucket.count) * (summed ? 1 : workers_);
      work_ += workers_ * (plans.encode + plans.decode);
      if (workers_ == 1) {
        plans.plans.emplace_back();
        continue;
      }
      RM_ASSIGN_OR_RETURN(const auto schedule,
                          CreateSchedule(ResolveCollective(spec_.strategy().all_reduce().collective(),
                                                           {spec_.transport().name(), workers_,
                                                            bucket.count * element_bytes})));
      for (int32_t rank = 0; rank < workers_; ++rank) {
        if (summed) {
          plans.plans.push_back(MakePlan(*schedule, {rank, workers_, bucket.count, element_bytes}));
        } else {
          plans.plans.push_back(MakeGatherPlan(rank, workers_));
          plans.sent_bytes.push_back(codec_->MaxEncodedBytes(bucket.count));
        }
      }
    }
    collectives_.resize(workers_);
    for (int32_t rank = 0; rank < workers_; ++rank) {
      auto model = std::make_unique<CollectiveModel>(rank, &bucket_plans_, exact ? 0 : kEncodedInFlightMax,
                                                     &collectives_, &network_, &queue_);
      collectives_[rank] = model.get();
      exchanges_.push_back(std::move(model));
    }
    return absl::OkStatus();
  }

  void AddServers() {
    const ParameterServerSpec& ps = spec_.strategy().parameter_server();
    ServerPlan& plan = server_plan_;
    plan.workers = workers_;
    plan.bsp = ps.consistency() == ParameterServerSpec::BSP;
    if (ps.consistency() == ParameterServerSpec::SSP) plan.staleness_bound = ps.staleness_bound();
    plan.lag = ps.consistency() == ParameterServerSpec::ASYNCHRONOUS ? 2 : 1;
    plan.updates_together = spec_.optimizer().has_clip_norm();
    PlaceOn(&plan);
    int64_t elements = 0;
    for (const Bucket& bucket : buckets_) elements += bucket.count;
    const double touch = costs_.compute.update / static_cast<double>(std::max<int64_t>(1, elements));
    const bool exact = codec_->traits().exact;
    for (int32_t server = 0; server < ps.servers(); ++server) {
      for (auto* of_server : {&plan.push_bytes, &plan.weight_bytes}) of_server->emplace_back();
      for (auto* of_server : {&plan.encode, &plan.add, &plan.update}) of_server->emplace_back();
      for (const Bucket& bucket : buckets_) {
        const int64_t elements_here = PartOnServer(bucket, ps.servers(), server).count;
        const int64_t bytes = elements_here * static_cast<int64_t>(sizeof(float));
        plan.weight_bytes[server].push_back(bytes);
        plan.push_bytes[server].push_back(
            exact || elements_here == 0 ? bytes : codec_->MaxEncodedBytes(elements_here));
        const auto count = static_cast<double>(elements_here);
        plan.encode[server].push_back(count * costs_.codec.encode);
        plan.add[server].push_back(count * (costs_.codec.decode + (plan.bsp ? touch : 0)));
        plan.update[server].push_back(count * touch);
        work_ += workers_ * (plan.encode[server].back() + plan.add[server].back()) +
                 (plan.bsp ? 1 : workers_) * plan.update[server].back();
      }
    }
    for (int32_t server = 0; server < ps.servers(); ++server) {
      owned_servers_.push_back(std::make_unique<ServerModel>(server, &plan, &server_workers_, &network_, &queue_));
      servers_.push_back(owned_servers_.back().get());
    }
    for (int32_t rank = 0; rank < workers_; ++rank) {
      auto model = std::make_unique<ServerExchangeModel>(rank, &plan, &servers_, &network_, &queue_);
      server_workers_.push_back(model.get());
      exchanges_.push_back(std::move(model));
    }
  }

  void PlaceOn(ServerPlan* plan) const {
    const std::vector<std::vector<NodeId>> processes = PlaceNodes(spec_);
    plan->worker_process.resize(workers_);
    plan->server_process.resize(spec_.strategy().parameter_server().servers());
    for (size_t process = 0; process < processes.size(); ++process) {
      for (const NodeId& node : processes[process]) {
        (node.role == Role::kWorker ? plan->worker_process : plan->server_process)[node.index] =
            static_cast<int>(process);
      }
    }
  }

  const RunSpec& spec_;
  const absl::Span<const Bucket> buckets_;
  const Costs& costs_;
  const int32_t workers_;
  std::unique_ptr<Codec> codec_;
  double work_ = 0;  // seconds a step of codecs and servers, all together
  EventQueue queue_;
  SimulatedNetwork network_;
  std::vector<BucketPlans> bucket_plans_;
  std::vector<CollectiveModel*> collectives_;
  ServerPlan server_plan_;
  std::vector<std::unique_ptr<ServerModel>> owned_servers_;
  std::vector<ServerModel*> servers_;
  std::vector<ServerExchangeModel*> server_workers_;
  std::vector<std::unique_ptr<ExchangeModel>> exchanges_;
  std::vector<std::unique_ptr<StepThread>> threads_;
};

// The batches of N workers, one after the other in one.
double SingleStep(int32_t workers, const ComputeCosts& compute) {
  return workers * (compute.load + compute.compute) + compute.update;
}

}  // namespace

absl::Status CheckPredictable(const RunSpec& spec) {
  const std::string& collective = spec.strategy().all_reduce().collective();
  if (!IsEngine(collective)) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("strategy.all_reduce.collective = \"", collective,
                                               "\": the messages of another library are its own, so its time cannot be "
                                               "predicted; leave that arm out"));
}

absl::StatusOr<SimulatedStep> SimulateStep(const RunSpec& spec, absl::Span<const Bucket> buckets, const Costs& costs) {
  RM_RETURN_IF_ERROR(CheckPredictable(spec));
  RM_CHECK(costs.compute.bucket_ready.size() == buckets.size());
  RM_CHECK(costs.network.plan.processes() == ProcessCount(spec));
  SimulatedStep result;
  if (spec.strategy().has_single()) {
    result.step = result.compute = SingleStep(spec.training().workers(), costs.compute);
    return result;
  }
  double stagger = 0;
  if (!spec.strategy().has_solo()) {
    Costs idle = costs;
    idle.compute = {};
    idle.compute.bucket_ready.assign(buckets.size(), 0);
    idle.delay = nullptr;
    Simulation alone(spec, buckets, idle);
    RM_RETURN_IF_ERROR(alone.Run(kStepsAlone, /*stagger=*/0));
    result.communication = alone.first_exchange();
    if (UpdatesOnArrival(spec.strategy())) stagger = result.communication / spec.training().workers();
  }
  Simulation simulation(spec, buckets, costs);
  RM_RETURN_IF_ERROR(simulation.Run(kSteps, stagger));
  result.step = std::max(simulation.step(), simulation.crowded_step());
  result.exposed = simulation.exposed();
  result.compute = simulation.compute();
  return result;
}

}  // namespace ringmaster
