#include "worker/loop/training_loop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/machine/free_memory.h"
#include "common/scheme/registry.h"
#include "worker/loop/create_replica.h"
#include "worker/loop/gradient_encoder.h"
#include "worker/loop/not_finite.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

double Milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// After a run has been started anew, as at the beginning of a turn (TurnRules).
constexpr int64_t kUntimedOfATurn = 3;

// The first step after `step` before which a checkpoint is made.
int64_t NextCheckpoint(const TrainingSpec& training, int64_t step) {
  if (!training.has_checkpoint_every_steps()) return std::numeric_limits<int64_t>::max();
  const int64_t every = training.checkpoint_every_steps();
  return (step / every + 1) * every;
}

StepShape ShapeOf(const RunSpec& spec) {
  const int64_t shares = ExactDiv(spec.training().workers(), TraitsOf(spec).workers);
  return {static_cast<int32_t>(shares), spec.training().accumulate()};
}

}  // namespace

float GradientScaleOf(const RunSpec& spec) {
  const TrainingSpec& training = spec.training();
  const int32_t workers = TraitsOf(spec).divisor == Divisor::kAllBatches ? training.workers() : 1;
  return 1.0f / static_cast<float>(training.accumulate() * workers);
}

TrainingLoop::TrainingLoop(const WorkerSetup& setup)
    : setup_(setup),
      training_(setup.spec->training()),
      shape_(ShapeOf(*setup.spec)),
      global_batch_(GlobalBatch(*setup.spec)),
      claims_(TraitsOf(*setup.spec).work == Work::kClaimed),
      meets_before_drain_(GoesOn(*setup.spec) && TraitsOf(*setup.spec).marks_are_averages),
      gradient_scale_(GradientScaleOf(*setup.spec)),
      slowdown_(training_, setup.rank,
                [conductor = setup.conductor] { return conductor->status(); }),
      step_(setup.first_step),
      next_checkpoint_(NextCheckpoint(training_, setup.first_step)),
      marks_(SampleMarks(*setup.spec)) {
  while (HasPassed(next_mark_, setup.scored_at.value_or(setup.first_step))) ++next_mark_;
}

absl::StatusOr<std::unique_ptr<TrainingLoop>> TrainingLoop::Create(const WorkerSetup& setup) {
  std::unique_ptr<TrainingLoop> loop(new TrainingLoop(setup));
  RM_RETURN_IF_ERROR(loop->Prepare());
  return loop;
}

absl::Status TrainingLoop::Prepare() {
  const RunSpec& spec = *setup_.spec;
  const ParamLayout& layout = setup_.model->layout();
  const SampleShape& sample = setup_.dataset->train.shape;
  RM_ASSIGN_OR_RETURN(replica_, CreateReplica(*setup_.kernels, spec, layout, setup_.rank,
                                              setup_.initial_weights->Take(), step_times_));
  RM_ASSIGN_OR_RETURN(copies_, WeightCopies::Create(*setup_.kernels, layout.count()));
  RM_ASSIGN_OR_RETURN(
      upload_, BatchUpload::Create(*setup_.kernels,
                                   LargestBatch(training_.batch_per_worker(), sample), sample));
  scoring_ = std::make_unique<Scoring>(setup_, upload_);
  RM_ASSIGN_OR_RETURN(
      outputs_, RunOutputs::Create(spec, {setup_.rank, shape_.shares, setup_.first_step}, layout,
                                   replica_->OnHost()));
  if (outputs_->wants_gradients()) {
    replica_->Observe([this, &layout](int64_t step, absl::Span<const BucketGradient> average) {
      for (const Bucket& bucket : layout.buckets())
        outputs_->AddGradient(step, bucket, average[bucket.id].host());
    });
  }
  const WorkerLink link = Link();
  RM_ASSIGN_OR_RETURN(strategy_,
                      setup_.create_strategy ? setup_.create_strategy(link) : CreateStrategy(link));
  RM_ASSIGN_OR_RETURN(
      delivery_, BucketDelivery::Create({&setup_, shape_, gradient_scale_, &slowdown_, &step_times_,
                                         strategy_.get(), replica_.get()}));
  if (setup_.state != nullptr) {
    RM_RETURN_IF_ERROR(
        Annotate(Take(*setup_.state), absl::StrCat("worker/", setup_.rank, " state")));
  }
  feed_ =
      std::make_unique<BatchFeed>(setup_, shape_, gradient_scale_, upload_, *outputs_, step_times_);
  if (setup_.state != nullptr) {
    State state = *setup_.state;
    RM_RETURN_IF_ERROR(feed_->Take(state.TakePart("batches")));
  }
  return setup_.keep && next_checkpoint_ < training_.steps() ? PrepareCheckpoints()
                                                             : absl::OkStatus();
}

// Takes the memory of checkpoints before the clock runs: of one that is copied while the one before
// is written.
absl::Status TrainingLoop::PrepareCheckpoints() {
  state_memory_.emplace();
  RM_ASSIGN_OR_RETURN(const State first, Give());
  return Give().status();
}

WorkerLink TrainingLoop::Link() {
  const RunSpec& spec = *setup_.spec;
  WorkerLink link;
  link.rank = setup_.rank;
  link.workers = training_.workers();
  link.servers = TraitsOf(spec).servers;
  link.device = setup_.device;
  link.spec = &spec;
  link.layout = &setup_.model->layout();
  link.replica = replica_.get();
  link.transport = setup_.transport;
  link.offer = OfferGradients(spec, *link.layout, setup_.kernels->place());
  link.step_times = &step_times_;
  link.work = &setup_.progress->work;
  link.step_lot = &lot_;
  link.timed_from = &timed_from_;
  link.kept_marks = setup_.kept_marks;
  if (PushesSayLots(spec)) link.settled = [this](int64_t steps) { feed_->NoteSettled(steps); };
  if (meets_before_drain_)
    link.lost_workers = [conductor = setup_.conductor] { return conductor->LostWorkers(); };
  if (setup_.traces != nullptr) link.exchange_recorder = &setup_.traces->exchange;
  return link;
}

absl::StatusOr<State> TrainingLoop::Give() const { return GiveWith(feed_->Give()); }

absl::StatusOr<State> TrainingLoop::GiveWith(State batches) const {
  State state;
  state.AddInteger("step", step_);
  RM_ASSIGN_OR_RETURN(State replica, replica_->Give());
  RM_ASSIGN_OR_RETURN(State gradients, delivery_->Give());
  state.AddPart("replica", std::move(replica));
  state.AddPart("gradients", std::move(gradients));
  state.AddPart("strategy", strategy_->Give());
  state.AddPart("batches", std::move(batches));
  return state;
}

absl::StatusOr<int64_t> TrainingLoop::StateBytes() const {
  RM_ASSIGN_OR_RETURN(const State gradients, delivery_->Give());
  return replica_->state_bytes() + gradients.bytes() + strategy_->state_bytes();
}

absl::Status TrainingLoop::Take(const State& state) {
  State own = state;
  own.TakePart("batches");  // of the feed, which is not there yet
  RM_RETURN_IF_ERROR(replica_->Take(own.TakePart("replica")));
  RM_RETURN_IF_ERROR(delivery_->Take(own.TakePart("gradients")));
  RM_RETURN_IF_ERROR(strategy_->Take(own.TakePart("strategy")));
  RM_RETURN_IF_ERROR(own.CopyTo({{"step", &step_}}));
  untimed_until_ = step_ + kUntimedOfATurn;
  // Workers that claim their work have made unlike numbers of steps.
  if (claims_ ? step_ >= 0 : step_ == setup_.first_step) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "it is that of step ", step_, ", and the run begins at step ", setup_.first_step));
}

absl::Status TrainingLoop::Run(WorkerReport* report) {
  RunReport figures(setup_, report);
  if (setup_.report_before != nullptr) figures.GoOnFrom(*setup_.report_before);
  // What was scored in a checkpoint that is made again.
  const int scored = std::min(report->evaluations_size(), static_cast<int>(next_mark_));
  report->mutable_evaluations()->DeleteSubrange(scored, report->evaluations_size() - scored);
  ReturnFreeMemory();  // what was copied until here
  absl::Status status = Train(&figures, report);
  if (status.ok()) status = Finish(&figures, report);
  feed_->Stop();
  if (status.ok()) return status;
  // What the exchange thread still waits for will not come.
  if (setup_.transport != nullptr) setup_.transport->Abort(status);
  const ExchangeReport exchange = strategy_->Finish();
  if (setup_.kept_steps != nullptr) *report = figures.SoFar(Clock::now(), exchange);
  return status;
}

absl::Status TrainingLoop::Train(RunReport* figures, WorkerReport* report) {
  RM_RETURN_IF_ERROR(AwaitBarrier("start", *setup_.conductor, *setup_.progress));
  mark_ = Clock::now();
  figures->Begin(mark_);
  clock_begin_ = figures->start();
  if (setup_.on_begin) setup_.on_begin(clock_begin_);
  if (setup_.traces != nullptr) setup_.traces->started = figures->start();
  for (;; ++step_) {
    setup_.progress->step.store(step_, std::memory_order_relaxed);
    // A worker that exchanges nothing would not hear of the run's end until its own.
    RM_RETURN_IF_ERROR(setup_.conductor->status());
    RM_RETURN_IF_ERROR(SkipToNextStep(figures));
    RM_ASSIGN_OR_RETURN(const std::optional<int64_t> lot, NextLot());
    RM_RETURN_IF_ERROR(MakeCheckpoints(GrantedStep(lot), figures, report));
    RM_RETURN_IF_ERROR(AwaitTurn(GrantedStep(lot), figures));
    if (!lot.has_value()) break;
    lot_ = *lot;
    if (claims_) figures->AddLot(lot_);
    if (setup_.on_step) slowdown_.SlowBy(setup_.on_step(GrantedStep(lot)));
    RM_RETURN_IF_ERROR(TimeStep(figures));
  }
  setup_.progress->step.store(step_ - 1, std::memory_order_relaxed);
  figures->NoWorkIsLeft();
  setup_.progress->Enter("drain");
  if (meets_before_drain_)
    RM_RETURN_IF_ERROR(AwaitBarrier(kTrained, *setup_.conductor, *setup_.progress));
  RM_RETURN_IF_ERROR(
      Annotate(Drain(), absl::StrCat("worker/", setup_.rank, " drain step=", step_ - 1)));
  figures->End();
  return absl::OkStatus();
}

// An update on a device, and what brings weights from it, may fail after the call that asked for
// it.
absl::Status TrainingLoop::Drain() {
  RM_RETURN_IF_ERROR(strategy_->Drain());
  return replica_->AwaitUpdates();
}

absl::Status TrainingLoop::SkipToNextStep(RunReport* figures) {
  setup_.progress->Enter("gate");
  absl::StatusOr<int64_t> next = strategy_->NextStep(step_);
  if (!next.ok()) {
    return Annotate(next.status(),
                    absl::StrCat("worker/", setup_.rank, " step=", step_, " phase=gate"));
  }
  if (*next == step_) return absl::OkStatus();
  RM_CHECK(*next > step_ && *next <= training_.steps());
  RM_RETURN_IF_ERROR(feed_->Skip(*next - step_));
  figures->AddSkipped(*next - step_);
  step_ = *next;
  setup_.progress->step.store(step_, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<int64_t>> TrainingLoop::NextLot() {
  if (recorder() != nullptr) recorder()->BeginStep(step_);
  absl::StatusOr<std::optional<int64_t>> lot = feed_->NextLot();
  if (recorder() != nullptr) recorder()->EndStep();
  return lot;
}

int64_t TrainingLoop::GrantedStep(std::optional<int64_t> lot) const {
  if (!lot.has_value()) return training_.steps();
  return claims_ ? *lot / training_.workers() : step_;
}

absl::Status TrainingLoop::AwaitTurn(int64_t granted_step, RunReport* figures) {
  bool is_timed = true;
  if (setup_.before_step) {
    const Clock::time_point begin = Clock::now();
    setup_.progress->paused.store(true, std::memory_order_relaxed);
    RM_ASSIGN_OR_RETURN(is_timed, setup_.before_step(granted_step));
    // It gets on again: what it computes next does not last since before.
    setup_.progress->work.fetch_add(1, std::memory_order_relaxed);
    setup_.progress->paused.store(false, std::memory_order_relaxed);
    const Clock::time_point end = Clock::now();
    mark_ += end - begin;  // on no clock
    figures->AddPause(begin, end);
  }
  is_timed = is_timed && step_ >= untimed_until_;
  figures->SetTimed(is_timed);
  if (!is_timed) timed_from_ = step_ + 1;
  return absl::OkStatus();
}

absl::Status TrainingLoop::MakeCheckpoints(int64_t granted_step, RunReport* figures,
                                           WorkerReport* report) {
  // Behind the last step nobody would go on from one.
  while (next_checkpoint_ <= granted_step && next_checkpoint_ < training_.steps()) {
    // Nobody waits at a checkpoint for who waits for a turn.
    RM_RETURN_IF_ERROR(AwaitTurn(next_checkpoint_, figures));
    RM_RETURN_IF_ERROR(
        Annotate(MakeCheckpoint(next_checkpoint_, figures, report),
                 absl::StrCat("worker/", setup_.rank, " checkpoint at step ", next_checkpoint_)));
    next_checkpoint_ = NextCheckpoint(training_, next_checkpoint_);
  }
  return absl::OkStatus();
}

absl::Status TrainingLoop::MakeCheckpoint(int64_t step, RunReport* figures, WorkerReport* report) {
  const Clock::time_point begin = Clock::now();
  setup_.progress->Enter("drain");
  RM_RETURN_IF_ERROR(Drain());
  const std::string name = absl::StrCat("checkpoint ", step);
  RM_RETURN_IF_ERROR(AwaitBarrier(name, *setup_.conductor, *setup_.progress));
  if (scoring_->is_scored()) RM_RETURN_IF_ERROR(ScoreMarks(step, begin, *figures, report));
  setup_.progress->Enter("checkpoint");
  if (setup_.keep) RM_RETURN_IF_ERROR(KeepState(step, begin, figures));
  if (setup_.rank == 0) RM_RETURN_IF_ERROR(strategy_->Keep(step));
  RM_RETURN_IF_ERROR(
      AwaitBarrier(absl::StrCat(name, " kept"), *setup_.conductor, *setup_.progress));
  step_times_.Clear();  // of the drain
  untimed_until_ = std::max(untimed_until_, step_ + 1);
  mark_ = Clock::now();
  figures->AddPause(begin, mark_);
  return absl::OkStatus();
}

absl::Status TrainingLoop::KeepState(int64_t step, Clock::time_point begin, RunReport* figures) {
  const Clock::time_point copying = Clock::now();
  RM_ASSIGN_OR_RETURN(State state, Give());
  std::string report = figures->SoFar(begin, strategy_->Report()).SerializeAsString();
  const Clock::time_point copied = Clock::now();
  if (recorder() != nullptr) {
    recorder()->BeginStep(step_);
    recorder()->AddSpan("checkpoint", step_, -1, copying, copied);
    recorder()->EndStep();
  }
  figures->AddCheckpoint(Milliseconds(copied - copying));
  // Whoever writes it may have to wait for a disk.
  setup_.progress->paused.store(true, std::memory_order_relaxed);
  setup_.keep(step, std::move(state), std::move(report));
  setup_.progress->paused.store(false, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status TrainingLoop::TimeStep(RunReport* figures) {
  if (recorder() != nullptr) recorder()->BeginStep(step_);
  const absl::Status status = RunStep(step_);
  if (!status.ok()) {
    return Annotate(status, absl::StrCat("worker/", setup_.rank, " step=", step_, " phase=",
                                         setup_.progress->phase.load(std::memory_order_relaxed)));
  }
  const Clock::time_point end = Clock::now();
  if (recorder() != nullptr) {
    recorder()->AddSpan("step", step_, -1, mark_, end);
    recorder()->EndStep();
  }
  const double step_ms = Milliseconds(end - mark_);
  figures->AddStep(step_, step_ms, loss_, step_times_, computed_);
  feed_->NoteStep(step_ms / 1000);
  step_times_.Clear();
  mark_ = Clock::now();
  return absl::OkStatus();
}

absl::Status TrainingLoop::RunStep(int64_t step) {
  loss_ = 0;
  const uint64_t batch_set = feed_->batch_set();
  for (MicroBatch next{step, lot_, 0, 0}; next.share < shape_.shares; ++next.share, ++next.lot) {
    for (next.index = 0; next.index < shape_.accumulate; ++next.index) {
      // Before the gate for the first: it needs no weights, so what comes from the servers comes
      // meanwhile.
      RM_ASSIGN_OR_RETURN(const BatchView batch, feed_->Next(next));
      if (next.is_first()) {
        setup_.progress->Enter("gate");
        RM_RETURN_IF_ERROR(strategy_->BeginStep(step));
        if (setup_.kept_steps != nullptr) RM_RETURN_IF_ERROR(KeepStep(step, batch_set));
      }
      RM_RETURN_IF_ERROR(Compute(next, batch));
    }
  }
  computed_ = Clock::now();
  setup_.progress->Enter("exchange");
  RM_RETURN_IF_ERROR(strategy_->EndStep(step));
  RM_RETURN_IF_ERROR(outputs_->EndStep(step));
  loss_ /= static_cast<double>(shape_.batches());
  setup_.progress->loss.store(loss_, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status TrainingLoop::KeepStep(int64_t step, uint64_t batch_set) {
  const Clock::time_point begin = Clock::now();
  State batches;
  batches.AddInteger("set", static_cast<int64_t>(batch_set));
  RM_ASSIGN_OR_RETURN(State state, GiveWith(std::move(batches)));
  setup_.kept_steps->Keep(step, std::move(state));
  if (recorder() != nullptr) recorder()->AddSpan("keep", step, -1, begin, Clock::now());
  return absl::OkStatus();
}

absl::Status TrainingLoop::Compute(const MicroBatch& micro_batch, const BatchView& batch) {
  Model& model = *setup_.model;
  TensorView weights;
  {
    setup_.progress->Enter("upload");
    ScopedPhase phase(step_times_, Phase::kUpload);
    RM_RETURN_IF_ERROR(replica_->ToKernels());
    RM_ASSIGN_OR_RETURN(weights, copies_->ForKernels(replica_->weights()));
  }
  {
    setup_.progress->Enter("forward");
    ScopedPhase phase(step_times_, Phase::kForward);
    if (micro_batch.is_first()) RM_RETURN_IF_ERROR(slowdown_.Delay(micro_batch.step));
    slowdown_.Begin();
    RM_RETURN_IF_ERROR(model.Forward(batch, weights));
    RM_RETURN_IF_ERROR(delivery_->ForwardCalled());
    RM_RETURN_IF_ERROR(slowdown_.Stretch());
  }
  setup_.progress->Enter("backward");
  RM_RETURN_IF_ERROR(
      model.Backward(weights, delivery_->Begin(micro_batch),
                     [this](const Bucket& bucket) { return delivery_->BucketDone(bucket); }));
  RM_RETURN_IF_ERROR(delivery_->DeliverRest());
  RM_ASSIGN_OR_RETURN(const BatchScore score, model.Score());
  delivery_->End();
  const double loss = score.loss_sum / static_cast<double>(score.count);
  if (!std::isfinite(loss)) {
    RM_ASSIGN_OR_RETURN(const auto host_weights, copies_->ForHost(replica_->weights()));
    const LostBatch lost{loss, batch, weights, host_weights};
    return WithRateAdvice(ExplainLostBatch(lost, model, *setup_.kernels), setup_.spec->optimizer());
  }
  loss_ += loss;
  return absl::OkStatus();
}

bool TrainingLoop::HasPassed(size_t mark, int64_t step) const {
  if (mark >= marks_.size()) return false;
  // All updates of the run are made from equal numbers of its steps.
  return absl::int128(marks_[mark].update) * training_.steps() <=
         absl::int128(marks_.back().update) * step;
}

absl::Status TrainingLoop::ScoreMarks(int64_t step, Clock::time_point since,
                                      const RunReport& figures, WorkerReport* report) {
  const bool is_end = step == training_.steps();
  for (; HasPassed(next_mark_, step); ++next_mark_) {
    setup_.progress->Enter("recall");
    RM_ASSIGN_OR_RETURN(const MarkedModel model,
                        strategy_->Recall(static_cast<int32_t>(next_mark_)));
    if (!model.was_reached) {
      setup_.progress->scored_marks.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    RM_ASSIGN_OR_RETURN(const TensorView weights, copies_->ForKernels(model.weights));
    // Where servers hold the weights their reports say when, at the end.
    const bool is_reported = is_end && TraitsOf(*setup_.spec).servers > 0;
    const double seconds = is_reported ? 0 : figures.TrainingSeconds(std::min(model.passed, since));
    RM_RETURN_IF_ERROR(
        scoring_->ScoreTestSet(weights, marks_[next_mark_].samples, seconds, report));
  }
  return absl::OkStatus();
}

absl::Status TrainingLoop::Finish(RunReport* figures, WorkerReport* report) {
  const WeightsView model = strategy_->ModelWeights();
  RM_ASSIGN_OR_RETURN(const absl::Span<const float> weights, copies_->ForHost(model));
  // The losses of earlier steps say nothing about the last update.
  const absl::Status finite = CheckFinite("final weight", setup_.model->layout(), weights);
  RM_RETURN_IF_ERROR(
      Annotate(WithRateAdvice(finite, setup_.spec->optimizer()),
               absl::StrCat("worker/", setup_.rank, " step=", step_ - 1, " phase=update")));
  if (setup_.on_trained) setup_.on_trained(weights);
  // Who scores takes cores from those who train.
  if (scoring_->is_scored() && !meets_before_drain_)
    RM_RETURN_IF_ERROR(AwaitBarrier(kTrained, *setup_.conductor, *setup_.progress));
  std::vector<int32_t> lost;
  if (scoring_->is_scored() || meets_before_drain_) lost = setup_.conductor->LostWorkers();
  scoring_->LeaveOut(lost);
  // The first worker that is left saves them.
  int32_t first = 0;
  while (first < static_cast<int32_t>(lost.size()) && lost[first] == first) ++first;
  RM_RETURN_IF_ERROR(outputs_->Finish(weights, /*saves_weights=*/setup_.rank == first));
  if (scoring_->is_scored()) {
    RM_RETURN_IF_ERROR(ScoreMarks(training_.steps(), Clock::time_point::max(), *figures, report));
    RM_ASSIGN_OR_RETURN(const TensorView scored, copies_->ForKernels(model));
    RM_RETURN_IF_ERROR(scoring_->ScoreTrainingSet(scored, report));
  }
  setup_.progress->Enter("farewell");
  RM_RETURN_IF_ERROR(figures->AddWeights(weights));
  feed_->AddFingerprints(report);
  const ExchangeReport exchange = strategy_->Finish();
  RM_RETURN_IF_ERROR(
      Annotate(exchange.status, absl::StrCat("worker/", setup_.rank, " taking leave")));
  figures->AddExchange(exchange);
  return absl::OkStatus();
}

}  // namespace ringmaster
