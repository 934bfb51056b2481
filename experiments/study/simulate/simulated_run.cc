#include "experiments/study/simulate/simulated_run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/fingerprint.h"
#include "common/base/message.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/small_tensors.h"
#include "common/config/describe.h"
#include "common/control/dealing.h"
#include "common/exchange/parts.h"
#include "common/machine/free_memory.h"
#include "common/scheme/registry.h"
#include "common/trace/event_ring.h"
#include "common/trace/node_traces.h"
#include "common/trace/phase.h"
#include "common/trace/thread_events.h"
#include "common/trace/thread_recorder.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/study/predict/compute_profile.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/simulate/equal_replicas.h"
#include "experiments/study/predict/simulated_trace.h"
#include "experiments/study/simulate/learning_nodes.h"
#include "experiments/study/simulate/marked_replicas.h"
#include "experiments/study/simulate/model_gradients.h"
#include "experiments/study/simulate/size_keeper.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"
#include "worker/data/dataset.h"
#include "worker/loop/evaluate.h"
#include "worker/loop/initial_weights.h"
#include "worker/loop/slowdown.h"
#include "worker/strategy/ps/worker_core.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {
namespace {

// Of a worker's computing, as emulated computing has it where the spec says nothing.
constexpr double kBackwardShare = 2.0 / 3;
// Events between two looks at what goes on outside.
constexpr int64_t kEventsUnwatched = 4096;

// What the reader of a file of sizes would ask.
std::string WhoseSizes(const RunSpec& spec) {
  return absl::StrCat(spec.name(), ": ", spec.training().workers(), " workers, ",
                      spec.data().name(), ", batches of ", spec.training().batch_per_worker());
}

// One that did nothing is left out.
void AddTrace(const ThreadEvents& events, ProcessReport* report) {
  if (events.spans.empty() && events.sent.empty() && events.received.empty()) return;
  ThreadTrace* const trace = report->add_traces();
  trace->set_node(events.node);
  trace->set_thread(events.thread);
  trace->set_dropped(events.dropped);
  AddSpans(events.spans, trace);
  AddMessages(events.sent, trace->mutable_sent());
  AddMessages(events.received, trace->mutable_received());
}

// One run.
class SimulatedRun {
 public:
  SimulatedRun(const RunSpec& spec, const SimulationOptions& options)
      : spec_(spec), options_(options), traits_(TraitsOf(spec)), marks_(SampleMarks(spec)) {}

  absl::StatusOr<std::vector<ProcessReport>> Run() {
    RM_CHECK(options_.compute.source.empty() == !options_.times.has_value());
    RM_RETURN_IF_ERROR(CheckSimulatable(spec_, options_));
    RM_RETURN_IF_ERROR(CheckSimulationMemory(spec_, options_, FreeMemoryBytes()));
    RM_RETURN_IF_ERROR(LoadModel());
    RM_RETURN_IF_ERROR(SetCosts());
    RM_ASSIGN_OR_RETURN(plan_, PlanCluster(spec_, layout().buckets(), costs_, options_.merges));
    if (options_.learns) RM_RETURN_IF_ERROR(CreateNodes());
    RM_ASSIGN_OR_RETURN(cluster_,
                        SimulatedCluster::Create(spec_, plan_, costs_, /*drift=*/0, data_));
    cluster_->Trace(TraceExtentOf(TracedStepsOf(spec_), traits_.workers + traits_.servers));
    if (options_.learns) Watch();
    RM_RETURN_IF_ERROR(Play());
    if (keeper_ != nullptr) {
      RM_ASSIGN_OR_RETURN(const KeptSizes sizes, keeper_->Kept(WhoseSizes(spec_)));
      RM_RETURN_IF_ERROR(options_.keep_sizes(sizes));
    }
    if (options_.learns && IsScored(spec_)) RM_RETURN_IF_ERROR(ScoreTheEnd());
    return Reports();
  }

  // What the record says of the simulation itself.
  Simulation Describe() const {
    Simulation simulation;
    simulation.set_compute(ToText(options_.compute));
    simulation.set_learns(options_.learns);
    simulation.set_stopped_at_accuracy(stopped_);
    if (cluster_ == nullptr) return simulation;
    simulation.set_virtual_seconds(cluster_->queue().now());
    simulation.set_messages(cluster_->network().messages() *
                            (options_.merges ? traits_.workers : 1));
    if (options_.merges) simulation.set_merged_workers(traits_.workers);
    return simulation;
  }

 private:
  const ParamLayout& layout() const { return learned_ != nullptr ? learned_->layout() : *layout_; }

  absl::Status LoadModel() {
    if (!options_.learns) {
      RM_ASSIGN_OR_RETURN(layout_, LayoutOf(spec_));
      return absl::OkStatus();
    }
    RM_ASSIGN_OR_RETURN(dataset_, LoadDataset(spec_.data()));
    RM_ASSIGN_OR_RETURN(learned_, ModelGradients::Create(spec_, dataset_, options_.threads));
    RM_ASSIGN_OR_RETURN(initial_weights_, InitialWeights(spec_, learned_->model()));
    return absl::OkStatus();
  }

  absl::Status SetCosts() {
    const TrainingSpec& training = spec_.training();
    // A worker that stands for several computes the batches of all.
    const auto shares = static_cast<double>(training.workers() / traits_.workers);
    if (options_.times.has_value()) {
      if (options_.times->handovers().rbegin()->elements() != layout().count())
        return absl::InvalidArgumentError("the times are of a model of another size");
      costs_.compute = CostsOfTimes(*options_.times, layout().buckets());
      backward_share_ = 1 - costs_.compute.bucket_ready.front();
    } else {
      if (training.has_emulated_compute())
        backward_share_ = training.emulated_compute().backward_share();
      costs_.compute = CostsOfMean(absl::ToDoubleSeconds(options_.compute.mean), backward_share_,
                                   layout().buckets());
    }
    costs_.compute.compute *= shares;
    if (options_.compute.sigma > 0) {
      costs_.stretch = [this](int32_t rank, int64_t step) {
        return options_.compute.Stretch(spec_.training().seed(), rank, step);
      };
    }
    for (int32_t rank = 0; rank < traits_.workers; ++rank) {
      slowdowns_.push_back(
          std::make_unique<Slowdown>(training, rank, [] { return absl::OkStatus(); }));
      costs_.factors.push_back(slowdowns_.back()->factor());
    }
    if (!training.slowdowns().empty()) {
      costs_.delay = [this](int32_t rank, int64_t step) {
        return absl::ToDoubleSeconds(slowdowns_[rank]->DelayOf(step));
      };
    }
    costs_.codec.rounds = RoundsOf(spec_, layout());
    if (spec_.codec().warmup_steps() > 0)
      costs_.codec.warmup_rounds = RoundsOf(spec_, layout(), /*step=*/0);
    if (!options_.learns) {
      const KeptSizes* const kept = options_.sizes.has_value() ? &*options_.sizes : nullptr;
      RM_ASSIGN_OR_RETURN(sizes_, EncodingSizes::Create(EncodedRunOf(spec_, layout()), kept));
      costs_.codec.sizes = sizes_.get();
    }
    RM_ASSIGN_OR_RETURN(costs_.network.plan, PlanNetwork(*NetworkOf(spec_), PlaceNodes(spec_)));
    // Nobody sends to the one that is played: its messages wait for their receivers' cards where
    // they leave, which as many cross.
    if (options_.merges) {
      double& egress = costs_.network.plan.egress.front();
      egress = std::min(egress, costs_.network.plan.ingress.front());
    }
    return absl::OkStatus();
  }

  absl::Status CreateNodes() {
    learning_.spec = &spec_;
    learning_.layout = &layout();
    learning_.gradients = learned_.get();
    const CodecSpec codec = GradientCodec(spec_, traits_);
    if (EqualReplicas::Serve(traits_, *CodecTraitsOf(codec))) {
      EqualReplicas::Decoding decoding{nullptr, spec_.training().seed()};
      RM_ASSIGN_OR_RETURN(decoding.codec, CreateCodecOf(codec, layout(), /*parts=*/1));
      RM_ASSIGN_OR_RETURN(equal_, EqualReplicas::Create(spec_, layout(), plan_.all_reduce,
                                                        initial_weights_, std::move(decoding)));
      learning_.equal = equal_.get();
    }
    learning_.fail = [this](const absl::Status& why) { failure_.Update(why); };
    if (options_.keep_sizes) {
      keeper_ = std::make_unique<SizeKeeper>(EncodedRunOf(spec_, layout()), traits_.workers);
      learning_.sizes = keeper_.get();
    }
    for (int32_t rank = 0; rank < traits_.workers; ++rank) {
      RM_ASSIGN_OR_RETURN(auto worker, LearningWorker::Create(learning_, initial_weights_, rank));
      data_.steps.push_back(worker.get());
      data_.ranks.push_back(worker.get());
      data_.workers.push_back(worker.get());
      workers_.push_back(std::move(worker));
    }
    for (int32_t index = 0; index < traits_.servers; ++index) {
      RM_ASSIGN_OR_RETURN(auto server, LearningServer::Create(learning_, initial_weights_, index));
      data_.servers.push_back(server.get());
      data_.parts.push_back(server->parts());
      servers_.push_back(std::move(server));
    }
    data_.statistics.assign(layout().statistics().begin(), layout().statistics().end());
    return absl::OkStatus();
  }

  // Has marks scored as they are passed.
  void Watch() {
    if (marks_.empty()) return;
    if (traits_.marks_are_averages)
      replicas_ = std::make_unique<MarkedReplicas>(marks_, layout(), plan_.all_reduce);
    if (traits_.weights != WeightHolder::kServers) {
      // Where the model is no average of their replicas, all workers have it alike.
      const int32_t watched = traits_.marks_are_averages ? traits_.workers : 1;
      for (int32_t rank = 0; rank < watched; ++rank) {
        workers_[rank]->ObserveSteps([this, rank, next = size_t{0}](int64_t updates) mutable {
          for (; next + 1 < marks_.size() && updates >= marks_[next].update; ++next)
            WorkerPassed(next, rank);
        });
      }
      return;
    }
    passed_.resize(marks_.size());
    for (int32_t index = 0; index < traits_.servers; ++index) {
      SimulatedServer& server = cluster_->server(index);
      server.KeepMarks(ShardCore::CopiesOf(server.core().plan().shard),
                       [this](int32_t mark) { ServerPassed(mark); });
    }
  }

  void WorkerPassed(size_t mark, int32_t rank) {
    if (!traits_.marks_are_averages) return ScoreMark(workers_[rank]->model());
    std::optional<std::vector<float>> average =
        replicas_->Pass(mark, rank, workers_[rank]->weights());
    if (!average.has_value()) return;
    averaged_ = *std::move(average);
    ScoreMark(averaged_);
  }

  // One more server has passed it with all its parts.
  void ServerPassed(int32_t mark) {
    if (++passed_[mark] < traits_.servers || mark + 1 == static_cast<int32_t>(marks_.size()))
      return;
    RM_CHECK(mark == static_cast<int32_t>(next_mark_));
    ScoreMark(GatherShards(
        [mark](const ShardCore& shard, int32_t part) { return shard.part_at_mark(mark, part); }));
  }

  // The arena of what `part_of` gives of each server's shard, part by part.
  std::vector<float> GatherShards(
      absl::FunctionRef<absl::Span<const float>(const ShardCore& shard, int32_t part)> part_of) {
    std::vector<float> weights(layout().count());
    for (int32_t index = 0; index < traits_.servers; ++index) {
      const ShardCore& shard = cluster_->server(index).core().shard();
      const std::vector<Range>& parts = servers_[index]->parts();
      for (size_t part = 0; part < parts.size(); ++part) {
        const absl::Span<const float> own = part_of(shard, static_cast<int32_t>(part));
        std::copy(own.begin(), own.end(), weights.begin() + parts[part].begin);
      }
    }
    return weights;
  }

  void ScoreMark(absl::Span<const float> weights) {
    const absl::Status scored = Score(weights, cluster_->queue().now());
    failure_.Update(scored);
    ++next_mark_;
    if (scored.ok() && options_.stop_at_accuracy.has_value() &&
        evaluations_.back().test_accuracy() >= *options_.stop_at_accuracy)
      stopped_ = true;
  }

  absl::Status Score(absl::Span<const float> weights, double seconds) {
    RM_ASSIGN_OR_RETURN(const BatchScore score,
                        learned_->Score(dataset_.test, dataset_.test.count(), weights));
    Evaluation& evaluation = evaluations_.emplace_back();
    evaluation.set_samples_seen(marks_[next_mark_].samples);
    evaluation.set_seconds(seconds);
    evaluation.set_test_loss(score.loss_sum / static_cast<double>(score.count));
    evaluation.set_test_accuracy(static_cast<double>(score.correct) /
                                 static_cast<double>(score.count));
    evaluation.set_count(score.count);
    return absl::OkStatus();
  }

  absl::Status Play() {
    const int64_t lots = spec_.training().steps() * spec_.training().workers();
    ClaimDealer dealer({0, lots, traits_.workers});
    int32_t running = cluster_->workers();
    for (int32_t rank = 0; rank < cluster_->workers(); ++rank) {
      SimulatedStepThread& thread = cluster_->thread(rank);
      const auto drain = [&running, &thread] { thread.Drain([&running] { --running; }); };
      if (traits_.work == Work::kClaimed) {
        thread.RunClaimed(&dealer, drain);
      } else {
        thread.Run(spec_.training().steps(), drain);
      }
    }
    int64_t unwatched = 0;
    RM_RETURN_IF_ERROR(cluster_->Run([&] {
      if (++unwatched % kEventsUnwatched == 0) Look();
      return running == 0 || stopped_ || !failure_.ok();
    }));
    RM_RETURN_IF_ERROR(failure_);
    if (running > 0 && !stopped_) {
      return absl::InternalError(absl::StrCat("the simulated run stands still at ",
                                              cluster_->queue().now(), " s with ", running,
                                              " workers at work"));
    }
    return absl::OkStatus();
  }

  // At what goes on outside.
  void Look() {
    if (options_.interrupted != nullptr && *options_.interrupted)
      failure_.Update(absl::CancelledError("interrupted"));
    if (!options_.progress) return;
    SimulationProgress progress;
    progress.steps = static_cast<int64_t>(cluster_->thread(0).steps().size());
    progress.virtual_seconds = cluster_->queue().now();
    if (!evaluations_.empty()) progress.test_accuracy = evaluations_.back().test_accuracy();
    options_.progress(progress);
  }

  // As the worker knows it now; the average of all is made by a drain, or at a mark.
  absl::Span<const float> WorkersModel(int32_t rank) const {
    return stopped_ && traits_.marks_are_averages ? averaged_ : workers_[rank]->model();
  }

  // As they are now.
  std::vector<float> ModelWeights() {
    if (traits_.weights != WeightHolder::kServers) {
      const absl::Span<const float> model = WorkersModel(0);
      return {model.begin(), model.end()};
    }
    return GatherShards(
        [](const ShardCore& shard, int32_t part) { return shard.part_weights(part); });
  }

  // When the last update was made, in seconds.
  double LastUpdate() {
    double last = 0;
    if (traits_.weights == WeightHolder::kServers) {
      for (int32_t index = 0; index < traits_.servers; ++index)
        last = std::max(last, cluster_->server(index).updated_at());
      return last;
    }
    for (int32_t rank = 0; rank < traits_.workers; ++rank)
      last = std::max(last, cluster_->thread(rank).steps().back().end);
    return last;
  }

  absl::Status ScoreTheEnd() {
    const std::vector<float> weights = ModelWeights();
    if (!stopped_) RM_RETURN_IF_ERROR(Score(weights, LastUpdate()));
    RM_ASSIGN_OR_RETURN(final_,
                        learned_->Score(dataset_.train, FinalLossSamples(dataset_.train), weights));
    return absl::OkStatus();
  }

  std::vector<ProcessReport> Reports() {
    std::vector<ProcessReport> reports;
    for (const std::vector<NodeId>& nodes : PlaceNodes(spec_)) {
      ProcessReport& report = reports.emplace_back();
      report.set_transport("simulated");
      if (options_.learns) *report.mutable_inputs()->mutable_data() = dataset_.facts;
      for (const NodeId& node : nodes) {
        if (node.role == Role::kWorker) {
          FillWorker(node.index, report.add_workers());
          const TracedSteps traced = TracedStepsOf(spec_);
          for (const ThreadEvents& thread : cluster_->Traces(node.index, traced, backward_share_))
            AddTrace(thread, &report);
        } else {
          FillServer(node.index, report.add_servers());
          for (const ThreadEvents& thread : cluster_->server(node.index).Traces())
            AddTrace(thread, &report);
        }
      }
    }
    return reports;
  }

  void FillWorker(int32_t rank, WorkerReport* report) {
    report->set_rank(rank);
    const int32_t played = PlayedFor(rank);
    const std::vector<SimulatedStepThread::Step>& steps = cluster_->thread(played).steps();
    const auto warmup = static_cast<size_t>(spec_.training().warmup_steps());
    double whole = 0, exposed = 0, computed = 0;
    for (size_t step = 0; step < steps.size(); ++step) {
      report->add_step_ms(static_cast<float>(1000 * steps[step].whole));
      if (options_.learns)
        report->add_step_loss(
            step < workers_[rank]->losses().size() ? workers_[rank]->losses()[step] : 0);
      if (traits_.work == Work::kClaimed) report->add_lots(steps[step].lot);
      if (step < warmup) continue;
      whole += steps[step].whole;
      exposed += steps[step].exposed;
      computed += steps[step].computed;
    }
    const auto timed = static_cast<int64_t>(steps.size() - std::min(warmup, steps.size()));
    report->set_timed_steps(timed);
    report->set_timed_seconds(whole);
    if (!steps.empty()) report->set_training_seconds(steps.back().end);
    // Who takes what has arrived waits for a gradient arena, and for nobody's weights.
    const bool gates = traits_.weights == WeightHolder::kServers &&
                       WorkerPlanOf(spec_, rank, static_cast<int32_t>(layout().buckets().size()))
                               .steps_in_flight_max > 1;
    const auto mean_ms = [timed](double seconds) {
      return timed == 0 ? 0 : 1000 * seconds / static_cast<double>(timed);
    };
    for (int phase = 0; phase < kPhaseCount; ++phase)
      (*report->mutable_phase_ms())[PhaseName(static_cast<Phase>(phase))] = 0;
    (*report->mutable_phase_ms())[PhaseName(gates ? Phase::kGate : Phase::kExposed)] =
        mean_ms(exposed);
    (*report->mutable_phase_ms())[PhaseName(Phase::kForward)] =
        (1 - backward_share_) * mean_ms(computed);
    (*report->mutable_phase_ms())[PhaseName(Phase::kBackward)] =
        backward_share_ * mean_ms(computed);
    const SimulatedTraffic& traffic = cluster_->exchange(played).traffic();
    report->set_payload_bytes_up(traffic.up);
    report->set_payload_bytes_down(traffic.down);
    if (!options_.learns) return;
    report->set_weights_sha256(Sha256Hex(WorkersModel(rank)));
    if (traits_.replicas == Replicas::kOnAverage) {
      report->set_consensus_distance(
          ConsensusDistance(workers_[rank]->weights(), WorkersModel(rank)));
    }
    if (rank != 0) return;
    for (const Evaluation& evaluation : evaluations_) *report->add_evaluations() = evaluation;
    if (final_.count == 0) return;
    report->set_final_loss(final_.loss_sum / static_cast<double>(final_.count));
    report->set_final_loss_count(final_.count);
  }

  // Who is played for this worker: itself, or the one that stands for all.
  int32_t PlayedFor(int32_t rank) const { return options_.merges ? 0 : rank; }

  void FillServer(int32_t index, ServerReport* report) {
    const ShardCore& shard = cluster_->server(index).core().shard();
    report->set_index(index);
    report->set_dropped_contributions(shard.dropped());
    for (const int64_t version : shard.versions()) report->set_updates(report->updates() + version);
    for (const int64_t count : shard.staleness_histogram()) report->add_staleness_histogram(count);
  }

  const RunSpec& spec_;
  const SimulationOptions& options_;
  const SchemeTraits traits_;
  const std::vector<SampleMark> marks_;
  std::optional<ParamLayout> layout_;  // where nothing is learned
  Dataset dataset_;
  std::unique_ptr<ModelGradients> learned_;
  std::vector<float> initial_weights_;
  std::vector<std::unique_ptr<Slowdown>> slowdowns_;  // by rank
  double backward_share_ = kBackwardShare;            // of a step's computing
  std::unique_ptr<EncodingSizes> sizes_;              // where nothing is learned
  Costs costs_;                                       // uses the above
  absl::Status failure_;
  ClusterPlan plan_;
  std::unique_ptr<SizeKeeper> keeper_;  // null: nobody asks
  LearningRun learning_;
  std::unique_ptr<EqualReplicas> equal_;  // of the workers; null where they have their own
  std::vector<std::unique_ptr<LearningWorker>> workers_;
  std::vector<std::unique_ptr<LearningServer>> servers_;
  ClusterData data_;
  std::unique_ptr<SimulatedCluster> cluster_;  // uses the above
  size_t next_mark_ = 0;                       // that has not been scored
  std::vector<int32_t> passed_;                // by mark: servers that have passed it
  std::unique_ptr<MarkedReplicas> replicas_;   // uses the plan
  std::vector<float> averaged_;                // at the last mark that all have passed
  std::vector<Evaluation> evaluations_;
  BatchScore final_;
  bool stopped_ = false;  // at an accuracy
};

}  // namespace

RunRecord SimulateRun(const RunSpec& spec, const SimulationOptions& options) {
  RunRecord record = NewRecord(spec);
  const MonotonicTime begin = MonotonicNow();
  SimulatedRun run(spec, options);
  FillRecord(run.Run(), &record);
  *record.mutable_simulation() = run.Describe();
  record.mutable_simulation()->set_wall_seconds(absl::ToDoubleSeconds(MonotonicNow() - begin));
  return record;
}

}  // namespace ringmaster
