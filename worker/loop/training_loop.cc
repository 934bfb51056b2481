#include "worker/loop/training_loop.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/control/dealing.h"
#include "common/machine/process_costs.h"
#include "common/update/update_rule.h"
#include "common/vecmath/vecmath.h"
#include "worker/loop/not_finite.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Names the stream of dropout masks among those of the training seed.
constexpr uint64_t kDropoutStream = 0x64726f706f7574;

// Steps for whose figures memory is there from the beginning: 8 MiB a worker.
constexpr int64_t kReportedStepsReserved = 1 << 20;

DataOrder OrderOf(const RunSpec& spec, int64_t samples) {
  return {spec.data().seed(), samples, spec.training().batch_per_worker()};
}

BatchView ViewOf(const Batch& batch) {
  BatchView view;
  view.features = batch.features.data();
  view.tokens = batch.tokens.data();
  view.labels = batch.labels.data();
  view.count = batch.count();
  return view;
}

}  // namespace

TrainingLoop::TrainingLoop(const WorkerSetup& setup)
    : setup_(setup),
      training_(setup.spec->training()),
      traits_(TraitsOf(*setup.spec)),
      shares_(static_cast<int32_t>(ExactDiv(training_.workers(), traits_.workers))),
      is_scored_(IsScored(*setup.spec)),
      accumulate_(training_.accumulate()),
      global_batch_(GlobalBatch(*setup.spec)),
      gradient_scale_(1.0f / static_cast<float>(
                                 accumulate_ * (traits_.divisor == Divisor::kAllBatches ? training_.workers() : 1))),
      slowdown_(training_, setup.rank, [conductor = setup.conductor] { return conductor->status(); }),
      loader_(setup.dataset->train, OrderOf(*setup.spec, setup.dataset->train.count()),
              setup.spec->data().augment()),
      weights_(*setup.initial_weights),
      batch_logs_(shares_) {}

uint64_t TrainingLoop::DropoutSeed(int32_t rank, int64_t step, int32_t micro_batch) const {
  uint64_t seed = MixSeed(training_.seed(), kDropoutStream);
  for (const int64_t stream : {int64_t{rank}, step, int64_t{micro_batch}}) {
    seed = MixSeed(seed, static_cast<uint64_t>(stream));
  }
  return seed;
}

absl::StatusOr<std::unique_ptr<TrainingLoop>> TrainingLoop::Create(const WorkerSetup& setup) {
  std::unique_ptr<TrainingLoop> loop(new TrainingLoop(setup));
  RM_RETURN_IF_ERROR(loop->Prepare());
  return loop;
}

absl::Status TrainingLoop::Prepare() {
  const ParamLayout& layout = setup_.model->layout();
  StagerOptions staging;
  staging.statistic_scale = gradient_scale_;
  staging.accumulate = accumulate_;
  staging.workers = training_.workers();
  staging.deterministic = training_.deterministic();
  staging.deterministic_bits = training_.deterministic_bits();
  const int32_t slots = 2 + (shares_ > 1 ? 1 : 0) + (accumulate_ > 1 ? 1 : 0);
  RM_ASSIGN_OR_RETURN(stager_, Stager::Create(*setup_.kernels, layout, staging, slots, setup_.allocate_exchange));
  if (setup_.kernels->place() == Place::kDevice) {
    RM_ASSIGN_OR_RETURN(forward_end_, setup_.kernels->CreatePoint());
  }
  const int64_t largest_batch = LargestBatch(*setup_.spec, setup_.dataset->train.shape);
  RM_ASSIGN_OR_RETURN(upload_, BatchUpload::Create(*setup_.kernels, largest_batch,
                                                   setup_.dataset->train.shape));
  UpdateScope scope{layout.count(), training_.workers(), {}};
  scope.statistics.assign(layout.statistics().begin(), layout.statistics().end());
  RM_ASSIGN_OR_RETURN(update_, CreateUpdateRule(setup_.spec->optimizer(), std::move(scope)));
  WorkerLink link;
  link.rank = setup_.rank;
  link.workers = training_.workers();
  link.servers = traits_.servers;
  link.global_batch = global_batch_;
  link.device = setup_.device;
  link.spec = setup_.spec;
  link.layout = &layout;
  link.weights = &weights_;
  link.transport = setup_.transport;
  link.update = update_.get();
  link.step_times = &step_times_;
  link.work = &setup_.progress->work;
  if (setup_.traces != nullptr) link.exchange_recorder = &setup_.traces->exchange;
  if (LeaveDeviceAsTheyAre(*setup_.spec, layout, setup_.kernels->place())) link.device_gradients = stager_.get();
  if (MayEncodeOnDevice(*setup_.spec, layout, setup_.kernels->place())) {
    RM_ASSIGN_OR_RETURN(encoder_, GradientEncoder::Create(*setup_.kernels, layout, setup_.spec->codec()));
    link.encoder = encoder_.get();
  }
  RM_ASSIGN_OR_RETURN(outputs_, RunOutputs::Create(*setup_.spec, setup_.rank, shares_, layout, weights_.front()));
  if (outputs_->wants_gradients()) {
    link.averaged_gradient = [this](int64_t step, const Bucket& bucket, absl::Span<const float> gradient) {
      outputs_->AddGradient(step, bucket, gradient);
    };
  }
  RM_ASSIGN_OR_RETURN(strategy_, setup_.create_strategy ? setup_.create_strategy(link) : CreateStrategy(link));
  if (encoder_ != nullptr && encoder_->is_prepared()) stager_->SetEncoder(encoder_.get());
  // `single` computes the batches of all ranks, one after the other.
  const int64_t per_step = int64_t{shares_} * accumulate_;
  const Dealing dealing{training_.workers(), accumulate_};
  batches_ = std::make_unique<Prefetcher>(
      training_.steps() * per_step, setup_.spec->data().prefetch(), [this, dealing, per_step](int64_t k, Batch* batch) {
        const auto nth = static_cast<int32_t>(k % per_step);
        loader_.Fill(dealing.BatchOf({k / per_step, setup_.rank + nth / accumulate_, nth % accumulate_}), batch);
        return absl::OkStatus();
      });
  return absl::OkStatus();
}

absl::Status TrainingLoop::Run(WorkerReport* report) {
  absl::Status status = Train(report);
  batches_->Stop();
  if (status.ok()) return status;
  // What the exchange thread still waits for will not come.
  if (setup_.transport != nullptr) setup_.transport->Abort(status);
  strategy_->Finish();
  return status;
}

absl::Status TrainingLoop::Train(WorkerReport* report) {
  report->set_rank(setup_.rank);
  report->set_kernel_target(setup_.kernels->target());
  // No timed step allocates; of very long runs some steps do.
  const auto reported_steps = static_cast<int>(std::min<int64_t>(training_.steps(), kReportedStepsReserved));
  report->mutable_step_ms()->Reserve(reported_steps);
  report->mutable_step_loss()->Reserve(reported_steps);
  RM_RETURN_IF_ERROR(AwaitBarrier("start"));
  const int64_t every = is_scored_ ? training_.evaluate_every_samples() : 0;
  int64_t next_evaluation = every > 0 ? every : training_.steps() * global_batch_;
  cpu_mark_seconds_ = ProcessCpuSeconds();
  Clock::time_point mark = Clock::now();
  if (setup_.traces != nullptr) setup_.traces->started = mark;
  for (int64_t step = 0; step < training_.steps(); ++step) {
    setup_.progress->step.store(step, std::memory_order_relaxed);
    // A worker that exchanges nothing would not hear of the run's end until its own.
    RM_RETURN_IF_ERROR(setup_.conductor->status());
    if (setup_.before_step) {
      setup_.progress->paused.store(true, std::memory_order_relaxed);
      RM_RETURN_IF_ERROR(setup_.before_step(step));
      setup_.progress->paused.store(false, std::memory_order_relaxed);
      mark = Clock::now();
    }
    if (recorder() != nullptr) recorder()->BeginStep(step);
    absl::Status status = RunStep(step);
    if (!status.ok()) {
      return Annotate(status, absl::StrCat("worker/", setup_.rank, " step=", step, " phase=",
                                           setup_.progress->phase.load(std::memory_order_relaxed)));
    }
    const Clock::time_point end = Clock::now();
    if (recorder() != nullptr) {
      recorder()->AddSpan("step", step, -1, mark, end);
      recorder()->EndStep();
    }
    CountStep(step, std::chrono::duration<double, std::milli>(end - mark).count(), report);
    if (step < training_.warmup_steps()) cpu_mark_seconds_ = ProcessCpuSeconds();
    mark = Clock::now();
    const int64_t samples_seen = (step + 1) * global_batch_;
    const bool last = step + 1 == training_.steps();
    if (!last && (every == 0 || samples_seen < next_evaluation)) continue;
    // Draining is part of training: its time goes to the clock and, between steps, to the next step.
    Enter("drain");
    RM_RETURN_IF_ERROR(Annotate(strategy_->Drain(), absl::StrCat("worker/", setup_.rank, " drain step=", step)));
    drain_ms_ = MillisecondsSince(mark);
    training_ms_ += drain_ms_;
    if (timed_steps_ > 0) timed_cpu_seconds_ += ProcessCpuSeconds() - cpu_mark_seconds_;
    if (is_scored_) RM_RETURN_IF_ERROR(EvaluateAll(samples_seen, report));
    while (every > 0 && next_evaluation <= samples_seen) next_evaluation += every;
    cpu_mark_seconds_ = ProcessCpuSeconds();
    mark = Clock::now();
  }
  RM_RETURN_IF_ERROR(FinishOutputs());
  if (is_scored_) RM_RETURN_IF_ERROR(ScoreTrainingSet(report));
  return FillReport(report);
}

absl::Status TrainingLoop::RunStep(int64_t step) {
  batch_loss_ = 0;
  RM_RETURN_IF_ERROR(Load(step, {0, 0}));
  Enter("gate");
  RM_RETURN_IF_ERROR(strategy_->BeginStep(step));
  for (int32_t share = 0; share < shares_; ++share) {
    for (int32_t index = 0; index < accumulate_; ++index) {
      if (share > 0 || index > 0) RM_RETURN_IF_ERROR(Load(step, {share, index}));
      RM_RETURN_IF_ERROR(Compute(step, {share, index}));
    }
  }
  Enter("exchange");
  RM_RETURN_IF_ERROR(strategy_->EndStep(step));
  RM_RETURN_IF_ERROR(outputs_->EndStep(step));
  batch_loss_ /= shares_ * accumulate_;
  setup_.progress->loss.store(batch_loss_, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status TrainingLoop::Load(int64_t step, const MicroBatch& micro_batch) {
  // The rank whose batch it is, which `single` stands for.
  const int32_t rank = setup_.rank + micro_batch.share;
  const Batch* host_batch = nullptr;
  {
    Enter("load");
    ScopedPhase phase(step_times_, Phase::kLoad);
    RM_ASSIGN_OR_RETURN(host_batch, batches_->Next());
    const uint64_t fingerprint = BatchFingerprint(*host_batch, &batch_stream_);
    RM_RETURN_IF_ERROR(outputs_->AddBatch(rank, host_batch->indices));
    batch_logs_[micro_batch.share].Add({reinterpret_cast<const char*>(&fingerprint), sizeof(fingerprint)});
  }
  Enter("upload");
  ScopedPhase phase(step_times_, Phase::kUpload);
  RM_ASSIGN_OR_RETURN(batch_, upload_.Upload(ViewOf(*host_batch)));
  batch_.training = true;
  batch_.dropout_seed = DropoutSeed(rank, step, micro_batch.index);
  // The loss has the factor, so that no pass over the gradients is needed for it.
  batch_.gradient_scale = gradient_scale_;
  return absl::OkStatus();
}

absl::Status TrainingLoop::Compute(int64_t step, const MicroBatch& micro_batch) {
  TensorView weights;
  {
    Enter("upload");
    ScopedPhase phase(step_times_, Phase::kUpload);
    RM_ASSIGN_OR_RETURN(weights, stager_->Weights(weights_.front(), weights_.version()));
  }
  {
    Enter("forward");
    ScopedPhase phase(step_times_, Phase::kForward);
    if (micro_batch.share == 0 && micro_batch.index == 0) RM_RETURN_IF_ERROR(slowdown_.Delay(step));
    slowdown_.Begin();
    RM_RETURN_IF_ERROR(setup_.model->Forward(batch_, weights));
    if (forward_end_ != nullptr) RM_RETURN_IF_ERROR(setup_.kernels->Mark(*forward_end_));
    RM_RETURN_IF_ERROR(slowdown_.Stretch());
  }
  Enter("backward");
  backward_since_ = Clock::now();
  finished_buckets_ = delivered_buckets_ = 0;
  slowdown_.Begin();
  RM_RETURN_IF_ERROR(setup_.model->Backward(weights, stager_->gradients(SlotOf(step, micro_batch)),
                                            [this, step, &micro_batch](const Bucket& bucket) {
                                              const absl::Status done = BucketDone(step, micro_batch, bucket);
                                              slowdown_.Begin();
                                              return done;
                                            }));
  RM_RETURN_IF_ERROR(DeliverBuckets(step, micro_batch, /*wait=*/true));
  RM_ASSIGN_OR_RETURN(BatchScore score, setup_.model->Score());
  CountBackward(-1);
  const double loss = score.loss_sum / static_cast<double>(score.count);
  if (!std::isfinite(loss)) {
    return WithAdvice(ExplainLostBatch({loss, batch_, weights, weights_.front()}, *setup_.model, *setup_.kernels));
  }
  batch_loss_ += loss;
  return absl::OkStatus();
}

absl::Status TrainingLoop::WithAdvice(const absl::Status& status) const {
  if (!absl::IsOutOfRange(status)) return status;
  return absl::OutOfRangeError(absl::StrCat(status.message(), "; lower optimizer.learning_rate (now ",
                                            setup_.spec->optimizer().learning_rate(), ")"));
}

// The step's gradient comes about in one of two arenas by step parity, so that one step's may still be on its way while
// the next is computed. Behind them lie the sum of another rank than the first (`single`), and what is yet to be added
// to a rank's sum.
int32_t TrainingLoop::SumSlotOf(int64_t step, int32_t share) const {
  return share == 0 ? static_cast<int32_t>(step % 2) : 2;
}

int32_t TrainingLoop::SlotOf(int64_t step, const MicroBatch& micro_batch) const {
  if (micro_batch.index == 0) return SumSlotOf(step, micro_batch.share);
  return shares_ > 1 ? 3 : 2;
}

absl::Status TrainingLoop::BucketDone(int64_t step, const MicroBatch& micro_batch, const Bucket& bucket) {
  RM_RETURN_IF_ERROR(stager_->StartFetch(SlotOf(step, micro_batch), bucket));
  ++finished_buckets_;
  setup_.progress->bucket.store(bucket.id, std::memory_order_relaxed);
  setup_.progress->work.fetch_add(1, std::memory_order_relaxed);
  // A rank that is slowed down computes nothing more before its sleep.
  return DeliverBuckets(step, micro_batch, /*wait=*/slowdown_.factor() != 1);
}

absl::Status TrainingLoop::DeliverBuckets(int64_t step, const MicroBatch& micro_batch, bool wait) {
  while (delivered_buckets_ < finished_buckets_) {
    const Bucket& bucket = setup_.model->layout().buckets()[delivered_buckets_];
    if (!wait) {
      RM_ASSIGN_OR_RETURN(const bool has_come, stager_->HasCome(bucket));
      if (!has_come) break;
    }
    RM_RETURN_IF_ERROR(Deliver(step, micro_batch, bucket));
    ++delivered_buckets_;
  }
  return absl::OkStatus();
}

// Staging and adding happen while backward goes on, or inside its calls; they have phases of their own.
absl::Status TrainingLoop::Deliver(int64_t step, const MicroBatch& micro_batch, const Bucket& bucket) {
  if (delivered_buckets_ == 0) RM_RETURN_IF_ERROR(AwaitForward());
  RM_RETURN_IF_ERROR(stager_->AwaitGradient(bucket));
  CountBackward(bucket.id);
  absl::Span<float> gradient;
  RM_RETURN_IF_ERROR(Collect(step, micro_batch, bucket, &gradient));
  backward_since_ = Clock::now();
  const bool is_last = micro_batch.index + 1 == accumulate_ && micro_batch.share + 1 == shares_;
  return is_last ? strategy_->GradReady(step, bucket, gradient) : absl::OkStatus();
}

absl::Status TrainingLoop::AwaitForward() {
  if (forward_end_ == nullptr) return absl::OkStatus();
  RM_RETURN_IF_ERROR(forward_end_->Await());
  const Clock::time_point now = Clock::now();
  step_times_.Add(Phase::kForward, backward_since_, now);
  backward_since_ = now;
  return absl::OkStatus();
}

absl::Status TrainingLoop::Collect(int64_t step, const MicroBatch& micro_batch, const Bucket& bucket,
                                   absl::Span<float>* gradient) {
  {
    ScopedPhase phase(step_times_, Phase::kDownload, bucket.id);
    RM_ASSIGN_OR_RETURN(*gradient, stager_->Fetch(SlotOf(step, micro_batch), bucket));
  }
  if (slowdown_.factor() != 1) {
    // A device has computed the bucket only now.
    ScopedPhase phase(step_times_, Phase::kBackward, bucket.id);
    RM_RETURN_IF_ERROR(slowdown_.Stretch());
  }
  const auto add_to = [&](int32_t share) {
    ScopedPhase phase(step_times_, Phase::kUpdate, bucket.id);
    const absl::Span<float> sum =
        stager_->host_gradients(SumSlotOf(step, share)).subspan(bucket.begin, bucket.count);
    Add(*gradient, sum);
    *gradient = sum;
  };
  // The additions everybody makes, each gradient from a buffer of its own: a rank's own batches first, (g0 + g1) + ...,
  // then the ranks' sums, (s0 + s1) + ...
  if (micro_batch.index > 0) add_to(micro_batch.share);
  if (micro_batch.index + 1 == accumulate_ && micro_batch.share > 0) add_to(0);
  return absl::OkStatus();
}

absl::StatusOr<BatchScore> TrainingLoop::ScoreShare(const Samples& samples, int64_t count) {
  const Range range = EvaluationShare(samples.shape, count, traits_.workers, setup_.rank);
  if (range.count == 0) return BatchScore();
  RM_ASSIGN_OR_RETURN(const TensorView weights, stager_->Weights(weights_.front(), weights_.version()));
  return Evaluate(samples, range, weights, *setup_.model, upload_, &setup_.progress->work);
}

absl::Status TrainingLoop::EvaluateAll(int64_t samples_seen, WorkerReport* report) {
  const std::string name = absl::StrCat("evaluate ", samples_seen);
  Enter("evaluate");
  RM_RETURN_IF_ERROR(AwaitBarrier(absl::StrCat(name, " begin")));
  const Samples& test = setup_.dataset->test;
  RM_ASSIGN_OR_RETURN(const BatchScore score, ScoreShare(test, test.count()));
  if (score.count > 0) {
    Evaluation* evaluation = report->add_evaluations();
    evaluation->set_samples_seen(samples_seen);
    evaluation->set_seconds(training_ms_ / 1000);
    evaluation->set_test_loss(score.loss_sum / static_cast<double>(score.count));
    evaluation->set_test_accuracy(static_cast<double>(score.correct) / static_cast<double>(score.count));
    evaluation->set_count(score.count);
    setup_.progress->test_accuracy.store(evaluation->test_accuracy(), std::memory_order_relaxed);
  }
  return AwaitBarrier(absl::StrCat(name, " end"));
}

absl::Status TrainingLoop::AwaitBarrier(const std::string& name) {
  setup_.progress->at_barrier.store(true, std::memory_order_relaxed);
  setup_.progress->work.fetch_add(1, std::memory_order_relaxed);
  const absl::Status status = setup_.conductor->Barrier(name);
  setup_.progress->at_barrier.store(false, std::memory_order_relaxed);
  setup_.progress->work.fetch_add(1, std::memory_order_relaxed);
  return status;
}

absl::Status TrainingLoop::ScoreTrainingSet(WorkerReport* report) {
  Enter("final loss");
  const Samples& train = setup_.dataset->train;
  RM_ASSIGN_OR_RETURN(const BatchScore score, ScoreShare(train, FinalLossSamples(train)));
  if (score.count == 0) return absl::OkStatus();
  report->set_final_loss(score.loss_sum / static_cast<double>(score.count));
  report->set_final_loss_count(score.count);
  return absl::OkStatus();
}

void TrainingLoop::CountStep(int64_t step, double step_ms, WorkerReport* report) {
  training_ms_ += step_ms;
  step_ms += std::exchange(drain_ms_, 0);
  const PhaseTimes times = step_times_;
  step_times_.Clear();
  const double waited_ms = times.Milliseconds(Phase::kGate) + times.Milliseconds(Phase::kExposed);
  const double own_seconds = std::max(0.0, step_ms - waited_ms) / 1000;
  std::atomic<double>& slowest = setup_.progress->slowest_step_seconds;
  slowest.store(std::max(own_seconds, slowest.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  report->add_step_ms(static_cast<float>(step_ms));
  report->add_step_loss(static_cast<float>(batch_loss_));
  if (step < training_.warmup_steps()) return;
  timed_ms_ += step_ms;
  ++timed_steps_;
  for (int phase = 0; phase < kPhaseCount; ++phase) phase_ms_[phase] += times.Milliseconds(static_cast<Phase>(phase));
  setup_.progress->samples_per_second.store(1000.0 * global_batch_ * timed_steps_ / timed_ms_,
                                            std::memory_order_relaxed);
}

absl::Status TrainingLoop::FinishOutputs() {
  // The losses of earlier steps say nothing about the last update.
  RM_RETURN_IF_ERROR(Annotate(WithAdvice(CheckFinite("final weight", setup_.model->layout(), weights_.front())),
                              absl::StrCat("worker/", setup_.rank, " step=", training_.steps() - 1, " phase=update")));
  return outputs_->Finish(weights_.front());
}

absl::Status TrainingLoop::ReportWeights(WorkerReport* report) const {
  const absl::Span<const float> weights = weights_.front();
  if (static_cast<int64_t>(weights.size()) > kReportedWeightsMax) {
    return absl::InvalidArgumentError(absl::StrCat("training.report_weights: the model has ", weights.size(),
                                                   " parameters, and a report carries at most ", kReportedWeightsMax,
                                                   "; leave it out, or use a smaller model"));
  }
  report->mutable_weights()->Add(weights.begin(), weights.end());
  return absl::OkStatus();
}

absl::Status TrainingLoop::FillReport(WorkerReport* report) {
  Enter("farewell");
  const ExchangeReport exchange = strategy_->Finish();
  RM_RETURN_IF_ERROR(Annotate(exchange.status, absl::StrCat("worker/", setup_.rank, " taking leave")));
  phase_ms_[static_cast<int>(Phase::kEncode)] += exchange.encode_ms;
  phase_ms_[static_cast<int>(Phase::kExchange)] += exchange.exchange_ms;
  phase_ms_[static_cast<int>(Phase::kReduce)] += exchange.reduce_ms;
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    (*report->mutable_phase_ms())[PhaseName(static_cast<Phase>(phase))] =
        timed_steps_ > 0 ? phase_ms_[phase] / timed_steps_ : 0;
  }
  report->set_timed_seconds(timed_ms_ / 1000);
  report->set_timed_steps(timed_steps_);
  if (timed_steps_ > 0) report->set_process_cpu_seconds(timed_cpu_seconds_);
  for (FingerprintStream& log : batch_logs_) report->add_batch_log_fingerprints(log.Finish());
  report->set_weights_sha256(Sha256Hex(weights_.front()));
  if (training_.report_weights()) RM_RETURN_IF_ERROR(ReportWeights(report));
  report->set_index_bytes_up(exchange.index_bytes);
  for (const std::string& name : exchange.bucket_collectives) report->add_bucket_collectives(name);
  report->set_engine(exchange.engine);
  if (setup_.transport == nullptr || !exchange.engine.empty()) return absl::OkStatus();
  const Traffic traffic = setup_.transport->traffic();
  // What evaluations cause is no part of any step.
  for (const auto& [kind, count] : traffic.sent) {
    if (kind == MessageKind::kDrain) continue;
    report->set_payload_bytes_up(report->payload_bytes_up() + count.payload_bytes);
    report->set_header_bytes_up(report->header_bytes_up() + count.header_bytes);
  }
  for (const auto& [kind, count] : traffic.received) {
    if (kind == MessageKind::kDrain) continue;
    report->set_payload_bytes_down(report->payload_bytes_down() + count.payload_bytes);
    report->set_header_bytes_down(report->header_bytes_down() + count.header_bytes);
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
