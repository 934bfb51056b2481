#include "experiments/study/predict/compute_profile.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/resolve.h"
#include "common/machine/machine.h"
#include "common/trace/trace.h"
#include "experiments/program/run/worker_parts.h"
#include "experiments/study/results/statistics.h"
#include "experiments/study/results/summary.h"
#include "proto/compute_times.pb.h"
#include "proto/run_record.pb.h"
#include "worker/data/dataset.h"
#include "worker/loop/conductor.h"
#include "worker/loop/initial_weights.h"
#include "worker/loop/training_loop.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {
namespace {

constexpr int64_t kProfileSteps = 43;
constexpr int32_t kProfileWarmUp = 3;
// Steps of which the best successive ones count: other processes may have disturbed the others.
constexpr size_t kBlockSteps = 10;
constexpr double kStepSecondsMax = 3600;

// Of a worker that is alone.
class AloneConductor : public Conductor {
 public:
  explicit AloneConductor(const std::atomic<bool>* interrupted) : interrupted_(interrupted) {}
  absl::Status Barrier(absl::string_view name) override { return status(); }
  void AskForLots(int32_t rank, int32_t count) override {}
  absl::StatusOr<LotClaim> AwaitLots(int32_t rank) override { return LotClaim{rank, 0, 0}; }
  void ForgetLots(int32_t rank) override {}
  absl::Status status() override {
    return interrupted_ != nullptr && *interrupted_ ? absl::CancelledError("interrupted")
                                                    : absl::OkStatus();
  }

 private:
  const std::atomic<bool>* const interrupted_;
};

// What the step thread did between the gate and the end of backward, in seconds; by timed step.
struct HandedOver {
  std::vector<std::vector<double>> ready;  // [bucket]
  std::vector<double> computed;
};

// A strategy that notes when it is called.
class Recorder : public ForwardingStrategy {
 public:
  Recorder(std::unique_ptr<SyncStrategy> real, HandedOver* times)
      : ForwardingStrategy(std::move(real)), times_(times) {}

  absl::Status BeginStep(int64_t step) override {
    const absl::Status status = real_->BeginStep(step);
    begin_ = Clock::now();
    return status;
  }
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    if (step >= kProfileWarmUp) times_->ready[bucket.id].push_back(Since());
    return real_->GradReady(step, bucket, gradient);
  }
  absl::Status EndStep(int64_t step) override {
    if (step >= kProfileWarmUp) times_->computed.push_back(Since());
    return real_->EndStep(step);
  }

 private:
  double Since() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  HandedOver* const times_;
  Clock::time_point begin_;
};

// The best block of a worker's timed steps, in milliseconds.
Block BestSteps(const WorkerReport& report) {
  return BestBlock({report.step_ms().end() - report.timed_steps(), report.step_ms().end()},
                   kBlockSteps);
}

double MedianOf(const std::vector<double>& values, const Block& block) {
  const auto begin = values.begin() + static_cast<int64_t>(block.begin);
  return Median(std::vector<double>(begin, begin + static_cast<int64_t>(block.size)));
}

// A median step, shared out as the phases' means.
ComputeCosts ShareOut(double step, double mean_step, double load, double update,
                      int32_t accumulate) {
  ComputeCosts costs;
  const double scale = mean_step > 0 ? step / mean_step : 1;
  costs.load = load * scale / accumulate;
  costs.update = update * scale;
  costs.compute = std::max(0.0, step - costs.load - costs.update);
  return costs;
}

double PhaseSeconds(const WorkerReport& report, Phase phase) {
  const auto found = report.phase_ms().find(PhaseName(phase));
  return found == report.phase_ms().end() ? 0 : found->second / 1000;
}

}  // namespace

RunSpec SoloOf(const RunSpec& spec, int32_t workers, int64_t steps, int32_t warmup_steps) {
  RunSpec solo = spec;
  solo.set_name("solo");
  solo.clear_strategy();
  solo.mutable_strategy()->mutable_solo();
  solo.mutable_strategy()->set_launch(PROCESSES);
  solo.clear_codec();
  if (spec.transport().name() == "inproc") solo.mutable_transport()->set_name("tcp");
  solo.mutable_transport()->clear_network();
  solo.clear_output();
  solo.mutable_output()->set_trace_steps(0);
  solo.mutable_training()->clear_slowdowns();
  solo.mutable_training()->set_report_weights(false);
  solo.mutable_training()->set_workers(workers);
  solo.mutable_training()->set_steps(steps);
  solo.mutable_training()->set_warmup_steps(warmup_steps);
  absl::StatusOr<RunSpec> resolved = Resolve(std::move(solo), {});
  RM_CHECK(resolved.ok());  // it names its steps
  return *std::move(resolved);
}

absl::StatusOr<ComputeProfile> ProfileCompute(const RunSpec& spec, int device,
                                              const std::atomic<bool>* interrupted) {
  const RunSpec solo = SoloOf(spec, /*workers=*/1, kProfileSteps, kProfileWarmUp);
  RM_ASSIGN_OR_RETURN(const Dataset dataset, LoadDataset(solo.data(), DatasetPartFor(solo)));
  RM_ASSIGN_OR_RETURN(const WorkerParts parts,
                      CreateWorkerParts(solo, dataset.train.shape, {device}));
  RM_ASSIGN_OR_RETURN(std::vector<float> initial, InitialWeights(solo, *parts.model));
  SharedArena weights(std::move(initial), 1);
  AloneConductor conductor(interrupted);
  WorkerProgress progress;
  HandedOver times;
  times.ready.resize(parts.model->layout().buckets().size());
  WorkerSetup setup;
  setup.device = device;
  setup.spec = &solo;
  setup.dataset = &dataset;
  setup.kernels = parts.kernels.get();
  setup.model = parts.model.get();
  setup.initial_weights = &weights;
  setup.conductor = &conductor;
  setup.progress = &progress;
  setup.create_strategy =
      [&times](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    RM_ASSIGN_OR_RETURN(auto real, CreateStrategy(link));
    return std::make_unique<Recorder>(std::move(real), &times);
  };
  WorkerReport report;
  {
    RM_ASSIGN_OR_RETURN(const auto loop, TrainingLoop::Create(setup));
    RM_RETURN_IF_ERROR(loop->Run(&report));
  }
  ComputeProfile profile;
  profile.buckets.assign(parts.model->layout().buckets().begin(),
                         parts.model->layout().buckets().end());
  profile.layout = std::make_shared<const ParamLayout>(parts.model->layout());
  const Block best = BestSteps(report);
  profile.step = best.median / 1000;
  profile.on_device = parts.kernels->place() == Place::kDevice;
  profile.costs =
      ShareOut(profile.step, report.timed_seconds() / static_cast<double>(report.timed_steps()),
               PhaseSeconds(report, Phase::kLoad), PhaseSeconds(report, Phase::kUpdate),
               solo.training().accumulate());
  const double computed = MedianOf(times.computed, best);
  double latest = 0;
  for (const std::vector<double>& ready : times.ready) {
    latest = std::clamp(MedianOf(ready, best) / computed, latest, 1.0);
    profile.costs.bucket_ready.push_back(latest);
  }
  return profile;
}

ComputeCosts CostsOfSolo(const RunRecord& record, const ComputeProfile& shape) {
  const RunSummary summary = Summarize(record);
  double mean_step = 0;
  std::vector<double> best;  // by worker
  int32_t workers = 0;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      mean_step += worker.timed_seconds() / static_cast<double>(worker.timed_steps());
      best.push_back(BestSteps(worker).median / 1000);
      ++workers;
    }
  }
  ComputeCosts costs = ShareOut(
      Median(best), mean_step / workers, PhaseMs(summary, PhaseName(Phase::kLoad)) / 1000,
      PhaseMs(summary, PhaseName(Phase::kUpdate)) / 1000, record.spec().training().accumulate());
  costs.bucket_ready = shape.costs.bucket_ready;
  return costs;
}

ComputeTimes TimesOf(const ComputeProfile& profile, const RunSpec& spec) {
  ComputeTimes times;
  times.set_machine(DescribeMachine().cpu());
  *times.mutable_model() = spec.model();
  times.set_data(spec.data().name());
  times.set_batch_per_worker(spec.training().batch_per_worker());
  times.set_accumulate(spec.training().accumulate());
  times.set_load_seconds(profile.costs.load);
  times.set_compute_seconds(profile.costs.compute);
  times.set_update_seconds(profile.costs.update);
  for (size_t i = 0; i < profile.buckets.size(); ++i) {
    Handover* handover = times.add_handovers();
    handover->set_elements(profile.buckets[i].end());
    handover->set_share(profile.costs.bucket_ready[i]);
  }
  return times;
}

absl::Status CheckTimes(const ComputeTimes& times, const RunSpec& spec) {
  const TrainingSpec& training = spec.training();
  const auto other = [](absl::string_view what, const auto& of_times, const auto& of_run) {
    return absl::InvalidArgumentError(absl::StrCat("the times are of ", what, " ", of_times,
                                                   ", and the run is of ", of_run,
                                                   "; measure them anew"));
  };
  if (times.model().SerializeAsString() != spec.model().SerializeAsString())
    return other("model", times.model().ShortDebugString(), spec.model().ShortDebugString());
  if (times.data() != spec.data().name()) return other("data", times.data(), spec.data().name());
  if (times.batch_per_worker() != training.batch_per_worker())
    return other("batches of", times.batch_per_worker(), training.batch_per_worker());
  if (times.accumulate() != training.accumulate())
    return other("accumulate", times.accumulate(), training.accumulate());
  for (const double seconds :
       {times.load_seconds(), times.compute_seconds(), times.update_seconds()}) {
    if (seconds >= 0 && seconds <= kStepSecondsMax) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("a time of ", seconds, " s; expected one from 0 to ", kStepSecondsMax));
  }
  int64_t elements = 0;
  double share = 0;
  for (const Handover& next : times.handovers()) {
    if (next.elements() <= elements || !(next.share() >= share && next.share() <= 1)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "handovers: ", next.elements(), " elements at ", next.share(), " behind ", elements,
          " at ", share, "; expected ever more elements, and shares that ascend to 1"));
    }
    elements = next.elements();
    share = next.share();
  }
  if (elements == 0) return absl::InvalidArgumentError("there are no handovers");
  return absl::OkStatus();
}

ComputeCosts CostsOfTimes(const ComputeTimes& times, absl::Span<const Bucket> buckets) {
  ComputeCosts costs;
  costs.load = times.load_seconds();
  costs.compute = times.compute_seconds();
  costs.update = times.update_seconds();
  for (const Bucket& bucket : buckets) {
    // The moment at which all up to its end had been handed over.
    double ready = 1;
    for (const Handover& handover : times.handovers()) {
      if (handover.elements() < bucket.end()) continue;
      ready = handover.share();
      break;
    }
    costs.bucket_ready.push_back(ready);
  }
  return costs;
}

ComputeCosts CostsOfMean(double mean, double backward_share, absl::Span<const Bucket> buckets) {
  ComputeCosts costs;
  costs.compute = mean;
  const auto count = static_cast<double>(buckets.back().end());
  for (const Bucket& bucket : buckets) {
    costs.bucket_ready.push_back(1 - backward_share +
                                 backward_share * static_cast<double>(bucket.end()) / count);
  }
  return costs;
}

}  // namespace ringmaster
