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

// Weights on their way from the servers to the step thread. They arrive in the back weights where the step thread takes
// them before more are asked for. Where it takes what has come and never waits (`keeps`), they arrive in an arena of
// their own: what has come stays until it is taken or something newer has come whole.
class Mailbox {
 public:
  Mailbox(WeightStore* weights, bool keeps, PartVersions none)
      : weights_(weights), keeps_(keeps), arriving_(keeps ? weights->back().size() : 0), versions_(std::move(none)) {}

  // Where the next weights are to be written. The exchange thread's, until Deliver.
  absl::Span<float> arriving() { return keeps_ ? absl::MakeSpan(arriving_) : weights_->back(); }

  // What `arriving` returned is whole; it overtakes weights that nobody has taken.
  void Deliver(const PartVersions& versions, Clock::duration parked) {
    absl::MutexLock lock(&mutex_);
    if (keeps_) weights_->SwapBack(&arriving_);
    versions_ = versions;
    parked_ = parked;
    ready_ = true;
  }

  // Swaps delivered weights to the front, all or none. The step thread's.
  void Take(PartVersions* versions, Clock::duration* parked) {
    absl::MutexLock lock(&mutex_);
    if (!ready_) return;
    ready_ = false;
    weights_->Swap();
    *versions = versions_;
    *parked = parked_;
  }

 private:
  WeightStore* const weights_;
  const bool keeps_;
  std::vector<float> arriving_;  // the exchange thread's

  absl::Mutex mutex_;  // of the swaps too
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
        mailbox_(link.weights, consistency_ == Consistency::ASYNCHRONOUS, servers_.NoVersions()),
        front_versions_(servers_.NoVersions()),
        read_versions_{servers_.NoVersions(), servers_.NoVersions()},
        pulled_versions_(servers_.NoVersions()),
        exchange_(2 * (link.layout->buckets().size() + 1) + 2, link.spec->training().warmup_steps(),
                  [this](const ExchangeTask& task, PhaseTimes& times) { return Handle(task, times); },
                  link.exchange_recorder) {}

  absl::Status BeginStep(int64_t step) override {
    // The arena and the buffers of this parity are free once step - 2 has left them. This comes before the taking, or a
    // worker that is held up here would go on with the weights of before.
    {
      ScopedPhase phase(*link_.step_times, Phase::kGate);
      RM_RETURN_IF_ERROR(exchange_.WaitFor(step_end_[step % 2]));
    }
    RM_RETURN_IF_ERROR(TakeWeights(consistency_ == Consistency::ASYNCHRONOUS ? 0 : step_end_[(step + 1) % 2]));
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
    report.status = exchange_.status();
    return report;
  }

 private:
  // The step thread waits for task `number` (0: for nothing) and swaps in what has been delivered. A pull that a server
  // parked because of the staleness bound is the gate's time; everything else it waits is exposed communication.
  absl::Status TakeWeights(int64_t number) {
    const Clock::time_point begin = Clock::now();
    RM_RETURN_IF_ERROR(exchange_.WaitFor(number));
    Clock::duration parked = Clock::duration::zero();
    mailbox_.Take(&front_versions_, &parked);
    const Clock::time_point end = Clock::now();
    const Clock::duration gated =
        consistency_ == Consistency::SSP ? std::min(parked, end - begin) : Clock::duration::zero();
    link_.step_times->Add(Phase::kGate, begin, begin + gated);
    link_.step_times->Add(Phase::kExposed, begin + gated, end);
    return absl::OkStatus();
  }

  // The exchange thread's side.
  absl::Status Handle(const ExchangeTask& task, PhaseTimes& times) {
    switch (task.kind) {
      case ExchangeTask::Kind::kBucket:
        return servers_.Push(task, read_versions_[task.step % 2], mailbox_.arriving(), times);
      case ExchangeTask::Kind::kEndStep: {
        ScopedPhase phase(times, Phase::kExchange);
        Clock::duration parked = Clock::duration::zero();
        if (consistency_ == Consistency::BSP) {
          RM_RETURN_IF_ERROR(servers_.FinishAnswers(task.step, &pulled_versions_));
        } else {
          RM_RETURN_IF_ERROR(
              servers_.Pull({task.step + 1, false, false}, mailbox_.arriving(), &pulled_versions_, &parked));
        }
        // What has been answered has left long ago.
        RM_RETURN_IF_ERROR(servers_.FinishPushes(task.step));
        mailbox_.Deliver(pulled_versions_, parked);
        return absl::OkStatus();
      }
      case ExchangeTask::Kind::kDrain: {
        ScopedPhase phase(times, Phase::kExchange);
        Clock::duration parked = Clock::duration::zero();
        RM_RETURN_IF_ERROR(
            servers_.Pull({task.step + 1, true, false}, mailbox_.arriving(), &pulled_versions_, &parked));
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
  if (link.encoder != nullptr) {
    std::vector<std::vector<Range>> slices;
    for (const Bucket& bucket : link.layout->buckets()) {
      std::vector<Range>& parts = slices.emplace_back();
      for (int32_t server = 0; server < link.servers; ++server) {
        parts.push_back(PartOnServer(bucket, link.servers, server));
      }
    }
    RM_RETURN_IF_ERROR(link.encoder->Prepare(std::move(slices)));
  }
  return std::make_unique<ParameterServerStrategy>(link, std::move(codec));
}

}  // namespace ringmaster
