#include "worker/strategy/ps/parameter_server_strategy.h"

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/ps/server_link.h"

namespace ringmaster {
namespace {

using Consistency = ParameterServerSpec;

// Weights on their way from the servers to the step thread. The back buffer has one owner at a time: the exchange
// thread while `filling`, the step thread while `ready`.
class Mailbox {
 public:
  explicit Mailbox(PartVersions none) : versions_(std::move(none)) {}

  void BeginFilling() {
    absl::MutexLock lock(&mutex_);
    ready_ = false;  // weights that nobody has taken are overtaken by newer ones
  }

  void Deliver(const PartVersions& versions, Clock::duration parked) {
    absl::MutexLock lock(&mutex_);
    versions_ = versions;
    parked_ = parked;
    ready_ = true;
  }

  // Swaps delivered weights to the front, all or none. Returns whether there were any.
  bool Take(WeightStore* weights, PartVersions* versions, Clock::duration* parked) {
    absl::MutexLock lock(&mutex_);
    if (!ready_) return false;
    ready_ = false;
    weights->Swap();
    *versions = versions_;
    *parked = parked_;
    return true;
  }

 private:
  absl::Mutex mutex_;
  PartVersions versions_ ABSL_GUARDED_BY(mutex_);
  Clock::duration parked_ ABSL_GUARDED_BY(mutex_) = Clock::duration::zero();
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
};

class ParameterServerStrategy : public SyncStrategy {
 public:
  ParameterServerStrategy(const WorkerLink& link, std::unique_ptr<Codec> codec)
      : link_(link),
        consistency_(link.spec->strategy().parameter_server().consistency()),
        servers_(link, std::move(codec)),
        mailbox_(servers_.NoVersions()),
        front_versions_(servers_.NoVersions()),
        read_versions_{servers_.NoVersions(), servers_.NoVersions()},
        pulled_versions_(servers_.NoVersions()),
        exchange_(2 * (link.layout->buckets().size() + 1) + 2, link.spec->training().warmup_steps(),
                  [this](const ExchangeTask& task, PhaseTimes& times) { return Handle(task, times); }) {}

  absl::Status BeginStep(int64_t step) override {
    RM_RETURN_IF_ERROR(TakeWeights(consistency_ == Consistency::ASYNCHRONOUS ? 0 : step_end_[(step + 1) % 2]));
    // The arena and the buffers of this parity are free once step - 2 has left them.
    {
      ScopedPhase phase(*link_.step_times, Phase::kGate);
      RM_RETURN_IF_ERROR(exchange_.WaitFor(step_end_[step % 2]));
    }
    read_versions_[step % 2] = front_versions_;
    return absl::OkStatus();
  }

  absl::Status GradReady(int64_t step, const Bucket& bucket, absl::Span<float> gradient) override {
    exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient});
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    step_end_[step % 2] = exchange_.Post({ExchangeTask::Kind::kEndStep, step});
    last_step_ = step;
    return exchange_.status();
  }

  absl::Status Drain() override {
    if (last_step_ < 0) return absl::OkStatus();
    // What the step's own pull brings comes first: weights older than the drain's must not arrive after it.
    RM_RETURN_IF_ERROR(TakeWeights(step_end_[last_step_ % 2]));
    // BSP's pull already holds every update of finished steps.
    if (consistency_ == Consistency::BSP) return absl::OkStatus();
    return TakeWeights(exchange_.Post({ExchangeTask::Kind::kDrain, last_step_}));
  }

  ExchangeReport Finish() override {
    exchange_.Post({ExchangeTask::Kind::kFarewell});
    exchange_.Stop();
    ExchangeReport report;
    report.AddTimes(exchange_.times());
    report.index_bytes = servers_.index_bytes();
    return report;
  }

 private:
  // The step thread waits for task `number` (0: for nothing) and swaps in what has been delivered. A pull that a server
  // parked because of the staleness bound is the gate's time; everything else it waits is exposed communication.
  absl::Status TakeWeights(int64_t number) {
    const Clock::time_point begin = Clock::now();
    RM_RETURN_IF_ERROR(exchange_.WaitFor(number));
    Clock::duration parked = Clock::duration::zero();
    mailbox_.Take(link_.weights, &front_versions_, &parked);
    const Clock::duration waited = Clock::now() - begin;
    const Clock::duration gated =
        consistency_ == Consistency::SSP ? std::min(parked, waited) : Clock::duration::zero();
    link_.step_times->Add(Phase::kGate, gated);
    link_.step_times->Add(Phase::kExposed, waited - gated);
    return absl::OkStatus();
  }

  // The exchange thread's side.
  absl::Status Handle(const ExchangeTask& task, PhaseTimes& times) {
    switch (task.kind) {
      case ExchangeTask::Kind::kBucket:
        return servers_.Push(task, read_versions_[task.step % 2], times);
      case ExchangeTask::Kind::kEndStep:
      case ExchangeTask::Kind::kDrain: {
        ScopedPhase phase(times, Phase::kExchange);
        const bool drain = task.kind == ExchangeTask::Kind::kDrain;
        if (!drain) RM_RETURN_IF_ERROR(servers_.FinishPushes(task.step));
        Clock::duration parked;
        mailbox_.BeginFilling();
        RM_RETURN_IF_ERROR(
            servers_.Pull({task.step + 1, drain, false}, link_.weights->back(), &pulled_versions_, &parked));
        mailbox_.Deliver(pulled_versions_, parked);
        return absl::OkStatus();
      }
      case ExchangeTask::Kind::kFarewell:
        return servers_.SayFarewell();
    }
    return absl::InternalError("unknown exchange task");
  }

  const WorkerLink link_;
  const ParameterServerSpec::Consistency consistency_;
  ServerLink servers_;  // the exchange thread's
  Mailbox mailbox_;

  // The step thread's.
  PartVersions front_versions_;
  int64_t step_end_[2] = {0, 0};  // tasks that end the last step of each parity
  int64_t last_step_ = -1;

  // By step parity: written by the step thread before the step's first bucket is posted, then read by the exchange
  // thread until the step's end.
  PartVersions read_versions_[2];

  PartVersions pulled_versions_;  // the exchange thread's

  ExchangeThread exchange_;  // last: its thread uses the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateParameterServerStrategy(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodec(link.spec->codec()));
  return std::make_unique<ParameterServerStrategy>(link, std::move(codec));
}

}  // namespace ringmaster
