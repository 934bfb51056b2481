#include "worker/strategy/ps/parameter_server_strategy.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/small_tensors.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/ps/server_link.h"
#include "worker/strategy/ps/worker_core.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {
namespace {

// The most steps of one worker of which something is kept.
constexpr int64_t kKeptStepsMax = 1 << 20;

// The shell of WorkerCore on a transport and two threads. The exchange thread brings buckets and
// ends of steps to the core in the order in which the step thread posted them, and sleeps until the
// messages of a step are through. Both threads call the core, a few times a step, under a mutex
// that nobody holds while waiting for a peer.
class ParameterServerStrategy : public SyncStrategy {
 public:
  ParameterServerStrategy(const WorkerLink& link, ServerCodecs codecs)
      : link_(link),
        plan_(WorkerPlanOf(*link.spec, link.rank,
                           static_cast<int32_t>(link.layout->buckets().size()))),
        keeps_(plan_.steps_in_flight_max > 1),
        copies_(MarkCopies(*link.spec)),
        lot_samples_(GlobalBatch(*link.spec) / link.workers),
        servers_(link, std::move(codecs)),
        arriving_(link.layout->count()),
        gradients_(link.layout->buckets().size()),
        base_(plan_.local_steps > 0 && !plan_.keeps_own ? link.layout->count() : 0),
        distance_(base_.size()),
        return_share_(ReturnShare(TraitsOf(*link.spec).attraction)),
        core_(plan_),
        exchange_(
            2 * (link.layout->buckets().size() + 1) + 2, link.spec->training().warmup_steps(),
            [this](const ExchangeTask& task, PhaseTimes& times) { return Run(task, times); },
            link.exchange_recorder) {
    exchange_.TimeFrom(link.timed_from);
    if (plan_.keeps_own) {
      const absl::Span<const float> weights = link.replica->OnHost();
      center_.assign(weights.begin(), weights.end());
    }
    if (!plan_.answered || plan_.keeps_own)
      step_pulls_.reserve(std::min(WorkerStepsMax(*link.spec), kKeptStepsMax));
    actions_.reserve(core_.MaxActions());
    step_actions_.reserve(core_.MaxActions());
  }

  GradientRequest Gradients() const override {
    GradientRequest request;
    request.steps = static_cast<int32_t>(plan_.steps_in_flight_max);
    if (!link_.offer.encoded) return request;
    request.form = GradientForm::kEncoded;
    for (const Bucket& bucket : link_.layout->buckets()) {
      std::vector<Range>& parts = request.slices.emplace_back();
      for (int32_t server = 0; server < link_.servers; ++server) {
        parts.push_back(PartOnServer(bucket, link_.servers, server));
      }
    }
    return request;
  }

  absl::StatusOr<int64_t> NextStep(int64_t step) override {
    if (!plan_.may_skip) return step;
    if (!has_begun_) RM_RETURN_IF_ERROR(Begin(step));
    has_begun_ = true;
    absl::MutexLock lock(&mutex_);
    return begun_;
  }

  absl::Status BeginStep(int64_t step) override {
    if (!std::exchange(has_begun_, false)) RM_RETURN_IF_ERROR(Begin(step));
    if (!base_.empty() && local_steps_ == 0) {
      const absl::Span<const float> weights = link_.replica->OnHost();
      std::copy(weights.begin(), weights.end(), base_.begin());
    }
    if (step_pulls_.size() == step_pulls_.capacity()) return absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    step_pulls_.push_back(static_cast<int32_t>(core_.front_pulls()));
    return absl::OkStatus();
  }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    if (plan_.local_steps > 0) {
      gradients_[bucket.id] = gradient;
      return status();
    }
    // Behind a failure nothing is posted: nobody waits for what is, and room for it is limited.
    RM_RETURN_IF_ERROR(status());
    exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient, link_.lot(step)});
    return absl::OkStatus();
  }

  absl::Status EndStep(int64_t step) override {
    last_step_ = step;
    if (plan_.local_steps > 0) {
      RM_RETURN_IF_ERROR(
          link_.replica->ApplyAfter(link_.lot(step) * lot_samples_, step, gradients_));
      if (++local_steps_ < plan_.local_steps) {
        absl::MutexLock lock(&mutex_);
        step_actions_.clear();
        core_.StepEnds(step, &step_actions_);
        return failure_;
      }
      MeasureDistance();
    }
    RM_RETURN_IF_ERROR(status());
    exchange_.Post({ExchangeTask::Kind::kEndStep, step, 0, {}, link_.lot(step)});
    return absl::OkStatus();
  }

  absl::Status Drain() override {
    const Clock::time_point begin = Clock::now();
    const int64_t lot = last_step_ < 0 ? 0 : link_.lot(last_step_);
    if (local_steps_ > 0) MeasureDistance();
    RM_RETURN_IF_ERROR(status());  // as in GradReady
    exchange_.Post({ExchangeTask::Kind::kDrain, last_step_, 0, {}, lot});
    RM_RETURN_IF_ERROR(Await(begin, /*is_gate=*/false));
    if (plan_.keeps_own) away_ = ConsensusDistance(link_.replica->OnHost(), center_);
    return absl::OkStatus();
  }

  // Where the worker's weights are its own, the center that the last drain has brought. Its
  // versions are far below those of marks.
  WeightsView ModelWeights() const override {
    if (!plan_.keeps_own) return link_.replica->weights();
    return WeightsView::OnHost(center_, std::numeric_limits<int64_t>::min() + center_version_);
  }

  // The copies are the servers'; they come where weights have arrived until now.
  absl::StatusOr<MarkedModel> Recall(int32_t mark) override {
    if (mark == copies_) return MarkedModel{ModelWeights(), Clock::now()};
    RM_RETURN_IF_ERROR(status());
    exchange_.Post({ExchangeTask::Kind::kRecall, mark});
    RM_RETURN_IF_ERROR(Await(Clock::now(), /*is_gate=*/false));
    absl::MutexLock lock(&mutex_);
    const std::chrono::microseconds age(core_.recalled_age_us());
    // Versions of the replica's weights are 0 or more.
    const bool was_reached = age >= std::chrono::microseconds::zero();
    return MarkedModel{WeightsView::OnHost(arriving_, -1 - mark), Clock::now() - age, was_reached};
  }

  absl::Status Keep(int64_t step) override {
    RM_RETURN_IF_ERROR(status());
    exchange_.Post({ExchangeTask::Kind::kKeep, step});
    return Await(Clock::now(), /*is_gate=*/false);
  }

  // "step" and "versions" of WorkerCore::BeginAt, what the codec's memory keeps as the part
  // "memory", "center", where the worker's weights are its own, and "held", where servers send
  // differences.
  State Give() const override {
    absl::MutexLock lock(&mutex_);
    State state;
    state.AddInteger("step", core_.ended());
    state.AddIntegers("versions", core_.front_versions());
    state.AddPart("memory", servers_.memory().Give());
    if (plan_.keeps_own) state.AddFloats("center", center_);
    if (servers_.held() != nullptr) state.AddFloats("held", servers_.held()->values());
    return state;
  }

  int64_t state_bytes() const override {
    absl::MutexLock lock(&mutex_);
    const size_t held = servers_.held() == nullptr ? 0 : servers_.held()->values().size();
    const size_t numbers = 1 + core_.front_versions().size();
    return static_cast<int64_t>(numbers * sizeof(int64_t) +
                                (center_.size() + held) * sizeof(float)) +
           servers_.memory().state_bytes();
  }

  absl::Status Take(const State& state) override {
    State own = state;
    const State memory = own.TakePart("memory");
    absl::MutexLock lock(&mutex_);
    int64_t step = 0;
    std::vector<int64_t> versions(core_.front_versions().size());
    std::vector<float> center(center_.size());
    std::vector<StateSlot> targets = {{"step", &step}, {"versions", absl::MakeSpan(versions)}};
    if (plan_.keeps_own) targets.push_back({"center", absl::MakeSpan(center)});
    std::vector<float> held(servers_.held() == nullptr ? 0 : link_.layout->count());
    if (servers_.held() != nullptr) targets.push_back({"held", absl::MakeSpan(held)});
    RM_RETURN_IF_ERROR(own.CopyTo(targets));
    if (step < 0 || std::any_of(versions.begin(), versions.end(),
                                [](int64_t version) { return version < 0; })) {
      return absl::InvalidArgumentError(
          "the strategy's state: a count of steps or updates is below 0");
    }
    RM_RETURN_IF_ERROR(servers_.memory().Take(memory));
    if (servers_.held() != nullptr) servers_.held()->Set(0, held);
    center_ = std::move(center);
    ++center_version_;
    core_.BeginAt(step, versions);
    return absl::OkStatus();
  }

  ExchangeReport Finish() override {
    exchange_.Post({ExchangeTask::Kind::kFarewell});
    exchange_.Stop();
    return Report();
  }

  ExchangeReport Report() override {
    ExchangeReport report;
    report.status = exchange_.WaitForAll();
    report.AddTimes(exchange_.times());
    report.encoded_bytes = servers_.encoded_bytes();
    report.index_bytes = servers_.index_bytes();
    report.step_pulls = step_pulls_;
    report.halves = servers_.halves();
    report.consensus_distance = away_;
    return report;
  }

 private:
  absl::Status status() {
    absl::MutexLock lock(&mutex_);
    return failure_;
  }

  // Waits until the core lets `step` begin, or a later one.
  absl::Status Begin(int64_t step) {
    const Clock::time_point begin = Clock::now();
    {
      absl::MutexLock lock(&mutex_);
      if (!failure_.ok()) return failure_;
      step_actions_.clear();
      core_.StepBegins(step, &step_actions_);
      Apply(step_actions_);
    }
    // Who takes what has arrived waits for the gradient arena of two steps before, and for nobody's
    // weights.
    return Await(begin, /*is_gate=*/keeps_);
  }

  // What a worker goes towards a center that it has been answered with, which has gone `share` of
  // their distance towards it already, for it to go `share` of the distance that there was.
  static float ReturnShare(double share) { return static_cast<float>(share / (1 - share)); }

  // How far the weights have gone from those of the last exchange, over N. Of weights that stay the
  // worker's own nothing: they are pushed themselves.
  void MeasureDistance() {
    local_steps_ = 0;
    // From a device the step thread brings them: the exchange thread reads them after it.
    const absl::Span<const float> weights = link_.replica->OnHost();
    if (plan_.keeps_own) return;
    ScopedPhase phase(*link_.step_times, Phase::kUpdate);
    ScaledDifference(1.0f / static_cast<float>(link_.workers), weights, base_,
                     absl::MakeSpan(distance_));
  }

  // Takes the weights that servers have sent. A center is taken here, by whichever thread, while
  // the step thread waits and before others may arrive in its place.
  void Swap(MessageKind from) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!plan_.keeps_own) return link_.replica->Replace(&arriving_);
    if (from == MessageKind::kWeights)
      return MoveTowards(return_share_, arriving_, link_.replica->Edit());
    center_.swap(arriving_);
    ++center_version_;
  }

  // The step thread sleeps until the core lets it go. Where `is_gate`, all of that is the gate's
  // time. Otherwise a pull that a server parked because of the staleness bound is, and everything
  // else is exposed communication.
  absl::Status Await(Clock::time_point begin, bool is_gate) {
    Clock::duration parked = Clock::duration::zero();
    {
      absl::MutexLock lock(&mutex_);
      const auto may_go = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return let_go_ || !failure_.ok();
      };
      mutex_.Await(absl::Condition(&may_go));
      if (!failure_.ok()) return failure_;
      let_go_ = false;
      parked = std::exchange(parked_, Clock::duration::zero());
    }
    const Clock::time_point end = Clock::now();
    Clock::duration gated = Clock::duration::zero();
    if (is_gate) {
      gated = end - begin;
    } else if (!keeps_) {
      gated = std::min(parked, end - begin);
    }
    link_.step_times->Add(Phase::kGate, begin, begin + gated);
    link_.step_times->Add(Phase::kExposed, begin + gated, end);
    return absl::OkStatus();
  }

  // Does what the core asks for with the weights that lie here, and lets the step thread go.
  void Apply(absl::Span<const WorkerAction> actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const WorkerAction& action : actions) {
      switch (action.kind) {
        case WorkerAction::Kind::kExpect:
        case WorkerAction::Kind::kSend:
          break;  // ServerLink's
        case WorkerAction::Kind::kDeliver:
          break;  // they stay where they have arrived until they are taken
        case WorkerAction::Kind::kSwap:
          Swap(action.tag.kind);
          parked_ = std::chrono::microseconds(core_.parked_us());
          break;
        case WorkerAction::Kind::kLetStepBegin:
          begun_ = action.tag.step;
          let_go_ = true;
          break;
        case WorkerAction::Kind::kDrained:
        case WorkerAction::Kind::kRecalled:
        case WorkerAction::Kind::kKept:
          let_go_ = true;
          break;
      }
    }
  }

  // The exchange thread's side.
  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) {
    absl::Status status = Handle(task, times);
    if (!status.ok()) {
      absl::MutexLock lock(&mutex_);
      failure_ = status;
    }
    return status;
  }

  absl::Status Handle(const ExchangeTask& task, PhaseTimes& times) {
    actions_.clear();
    bool is_idle = false;
    {
      absl::MutexLock lock(&mutex_);
      Tell(task);
      Apply(actions_);
      is_idle = core_.idle();
    }
    if (task.kind == ExchangeTask::Kind::kBucket)
      return servers_.Push(actions_, task, absl::MakeSpan(arriving_), times);
    if (task.kind == ExchangeTask::Kind::kFarewell) {
      RM_RETURN_IF_ERROR(servers_.Ask(actions_, {}));
      return servers_.FinishRequests();
    }
    if (is_idle) return absl::OkStatus();  // a drain, where every step ends with the weights of all
    RM_ASSIGN_OR_RETURN(const size_t pushes, PushDistance(task, times));
    if (task.kind == ExchangeTask::Kind::kRecall)
      return FinishExchange(pushes, {"copy of mark ", task.step, task.step, /*is_copy=*/true});
    if (task.kind == ExchangeTask::Kind::kKeep)
      return FinishExchange(pushes, {"checkpoint of step ", task.step, task.step, true});
    ScopedPhase phase(times, Phase::kExchange);
    return FinishExchange(pushes, {plan_.answered ? "weights of clock " : "pull at clock ",
                                   task.step + 1, task.step});
  }

  // What is pushed of steps that were made alone, of the whole arena. Weights are pushed from where
  // they lie: they stand still until the servers have answered, and so have used them.
  absl::Span<float> Pushed() {
    if (!plan_.keeps_own) return absl::MakeSpan(distance_);
    // Nobody writes through it: pushes have one type.
    const absl::Span<const float> weights = link_.replica->OnHost();
    return {const_cast<float*>(weights.data()), weights.size()};
  }

  // Starts the pushes of steps that were made alone, which come first among the actions: how far
  // the worker has come, or its weights, bucket by bucket. Returns how many there are.
  absl::StatusOr<size_t> PushDistance(const ExchangeTask& task, PhaseTimes& times) {
    const auto servers = static_cast<size_t>(plan_.servers);
    const size_t messages = plan_.answered ? 2 * servers : servers;  // of a bucket
    size_t next = 0;
    // A center that was delivered before is taken first.
    while (next < actions_.size() && actions_[next].kind == WorkerAction::Kind::kSwap) ++next;
    const auto is_pushed = [&] {
      const size_t push = plan_.answered ? next + 1 : next;  // its answer is expected before it
      return push < actions_.size() && actions_[push].tag.kind == MessageKind::kPush;
    };
    while (is_pushed()) {
      const Bucket& bucket = link_.layout->buckets()[actions_[next].tag.bucket];
      ExchangeTask push{ExchangeTask::Kind::kBucket, task.step, bucket.id, {}, task.lot};
      push.gradient = BucketGradient::OnHost(Pushed().subspan(bucket.begin, bucket.count));
      RM_RETURN_IF_ERROR(servers_.Push(absl::MakeConstSpan(actions_).subspan(next, messages), push,
                                       absl::MakeSpan(arriving_), times));
      next += messages;
    }
    return next;
  }

  void Tell(const ExchangeTask& task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    switch (task.kind) {
      case ExchangeTask::Kind::kBucket:
        return core_.GradientReady(task.step, task.bucket, &actions_, task.lot);
      case ExchangeTask::Kind::kEndStep:
        return core_.StepEnds(task.step, &actions_);
      case ExchangeTask::Kind::kDrain:
        return core_.DrainAsked(&actions_);
      case ExchangeTask::Kind::kRecall:
        return core_.RecallAsked(static_cast<int32_t>(task.step), &actions_);
      case ExchangeTask::Kind::kKeep:
        return core_.KeepAsked(task.step, &actions_);
      case ExchangeTask::Kind::kFarewell:
        return core_.FarewellAsked(&actions_);
      case ExchangeTask::Kind::kWeights:
        RM_CHECK(false);  // weights are the servers' to send
    }
  }

  // Starts what the core has asked for from action `first` on, and waits until nothing is under way
  // and nothing waits its turn.
  absl::Status FinishExchange(size_t first, const ServerLink::Awaited& awaited) {
    bool is_over = false;
    while (!is_over) {
      RM_RETURN_IF_ERROR(
          servers_.Ask(absl::MakeConstSpan(actions_).subspan(first), absl::MakeSpan(arriving_)));
      RM_RETURN_IF_ERROR(servers_.Finish(awaited));
      actions_.clear();
      first = 0;
      int64_t ended = 0;
      {
        absl::MutexLock lock(&mutex_);
        servers_.Report(&core_, &actions_);
        Apply(actions_);
        is_over = core_.idle();
        ended = core_.ended();
      }
      // What servers answer with has all that was pushed before, on all of them.
      if (link_.settled) link_.settled(ended);
    }
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const WorkerPlan plan_;
  const bool keeps_;  // what was delivered stays until the step thread takes it or newer weights
                      // are asked for
  const int64_t copies_;  // marks that the servers keep: all but the last
  const int64_t lot_samples_;

  // The exchange thread's.
  ServerLink servers_;
  // Where the next weights are written, and stay until they are taken; replaced under mutex_.
  std::vector<float> arriving_;
  std::vector<WorkerAction> actions_;

  // The step thread's.
  std::vector<WorkerAction> step_actions_;
  int64_t last_step_ = -1;
  bool has_begun_ = false;   // NextStep has begun the step
  int32_t local_steps_ = 0;  // made alone since the last exchange
  // Of steps made alone: the gradients of one by bucket, the weights of the last exchange, and how
  // far the weights have gone from these, which is pushed: the exchange thread's until the next.
  std::vector<BucketGradient> gradients_;
  std::vector<float> base_;
  std::vector<float> distance_;
  const float return_share_;
  std::optional<double> away_;       // from the center, after Drain
  std::vector<int32_t> step_pulls_;  // of each step so far; full: of the first

  // Of weights that stay the worker's own: the center of the last drain, written while the step
  // thread waits in it.
  std::vector<float> center_;
  int64_t center_version_ = 0;

  mutable absl::Mutex mutex_;  // of the weights' replacing too
  WorkerCore core_ ABSL_GUARDED_BY(mutex_);
  int64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;    // the step last let go
  bool let_go_ ABSL_GUARDED_BY(mutex_) = false;  // what the step thread waits for has arrived
  // of the last swap; until it is counted
  Clock::duration parked_ ABSL_GUARDED_BY(mutex_) = Clock::duration::zero();
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);

  ExchangeThread exchange_;  // last: its thread uses the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateParameterServerStrategy(
    const WorkerLink& link) {
  ServerCodecs codecs;
  RM_ASSIGN_OR_RETURN(codecs.up, CreateCodecOf(link.spec->codec(), *link.layout, link.servers));
  if (const CodecSpec* const down = DownCodecOf(*link.spec); down != nullptr) {
    RM_ASSIGN_OR_RETURN(codecs.down, CreateCodecOf(*down, *link.layout, link.servers));
  }
  return std::make_unique<ParameterServerStrategy>(link, std::move(codecs));
}

}  // namespace ringmaster
