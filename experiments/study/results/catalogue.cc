#include "experiments/study/results/catalogue.h"

#include <algorithm>
#include <utility>

#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "common/trace/trace.h"
#include "experiments/study/results/figure_row.h"
#include "experiments/study/results/learning_figures.h"
#include "experiments/study/results/machine_figures.h"
#include "experiments/study/results/pooling.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using Value = std::optional<double>;

// A field of RunSummary.
#define RM_FIELD(field)                    \
  [](const RunSummary& s) -> Value {       \
    if (!s.has_##field()) return {};       \
    return static_cast<double>(s.field()); \
  }

// Milliseconds a step of some phases together; those that did not occur count 0.
double PhasesMs(const google::protobuf::Map<std::string, double>& phase_ms,
                const std::vector<Phase>& phases) {
  double sum = 0;
  for (const Phase phase : phases) sum += ValueIn(phase_ms, PhaseName(phase)).value_or(0);
  return sum;
}

FigureOfRun Phases(std::vector<Phase> phases) {
  return [phases = std::move(phases)](const RunSummary& s) -> Value {
    if (!s.has_step_ms_p50()) return {};
    return PhasesMs(s.phase_ms(), phases);
  };
}

auto NodePhases(std::vector<Phase> phases) {
  return [phases = std::move(phases)](const NodeOfRun& node) -> Value {
    if (node.worker == nullptr) return {};
    return PhasesMs(node.worker->phase_ms(), phases);
  };
}

auto NodeStepMs(double quantile) {
  return [quantile](const NodeOfRun& node) -> Value {
    if (node.worker == nullptr) return {};
    const std::vector<float> step_ms = SortedStepMs({node.worker});
    return step_ms.empty() ? Value() : Value(Quantile(step_ms, quantile));
  };
}

FigureOfRun SpeedOver(double (*count)(const RunSummary&)) {
  return [count](const RunSummary& s) -> Value {
    if (!s.has_samples_per_second() || count(s) <= 0) return {};
    return s.samples_per_second() / count(s);
  };
}

// One worker computes everything in a single run, whatever N says of its micro-batches.
double WorkersThatCompute(const RunSummary& s) {
  const Scheme* const scheme = FindScheme(s.strategy());
  return scheme == nullptr ? s.workers() : scheme->traits({}, s.workers()).workers;
}

// What `of` says of a worker, the mean of all workers; absent where one has none, and where nothing
// is exchanged.
auto MeanOfWorkers(Value (*of)(const WorkerReport&)) {
  return [of](const RunRecord& record) -> Value {
    if (!TraitsOf(record.spec()).exchanges) return {};
    double sum = 0, workers = 0;
    for (const ProcessReport& process : record.reports()) {
      for (const WorkerReport& worker : process.workers()) {
        const Value one = of(worker);
        if (!one.has_value()) return {};
        sum += *one;
        ++workers;
      }
    }
    return workers > 0 ? Value(sum / workers) : Value();
  };
}

auto OfWorker(Value (*of)(const WorkerReport&)) {
  return
      [of](const NodeOfRun& node) { return node.worker == nullptr ? Value() : of(*node.worker); };
}

Value SkewMs(const WorkerReport& worker) {
  return worker.has_skew_ms() ? Value(worker.skew_ms()) : Value();
}

Value ConsensusDistance(const WorkerReport& worker) {
  return worker.has_consensus_distance() ? Value(worker.consensus_distance()) : Value();
}

Value TransferMs(const WorkerReport& worker) {
  if (!worker.has_skew_ms()) return {};
  return PhasesMs(worker.phase_ms(), {Phase::kExposed}) - worker.skew_ms();
}

Value ExposedAndContentionMs(const RunSummary& s) {
  if (!s.has_exposed_comm_ms() || !s.has_contention_ms()) return {};
  return s.exposed_comm_ms() + s.contention_ms();
}

Value ExposedShare(const RunSummary& s) {
  if (!s.has_exposed_comm_ms() || !s.has_hidden_comm_ms()) return {};
  const double communication = s.exposed_comm_ms() + s.hidden_comm_ms();
  if (!(communication > 0)) return {};
  return s.exposed_comm_ms() / communication;
}

Value EncodeMs(const RunSummary& s) {
  if (!s.has_hidden_comm_ms()) return {};  // exchanges nothing
  return PhasesMs(s.phase_ms(), {Phase::kEncode});
}

Value ProcessesPerCore(const RunSummary& s) {
  return s.processes_per_core() > 0 ? Value(s.processes_per_core()) : Value();
}

Value StalenessOfNode(const NodeOfRun& node, bool largest) {
  if (node.server == nullptr) return {};
  const PooledStaleness staleness = PoolStaleness({node.server});
  if (staleness.contributions == 0) return {};
  return largest ? static_cast<double>(staleness.largest) : staleness.mean;
}

constexpr char kPooledSteps[] =
    "timed steps of all workers, pooled; of the middle worker where workers differ";
constexpr char kMeanStep[] = "mean of timed steps and workers";
constexpr char kMeanOfAllSteps[] = "mean of all steps and workers";
constexpr char kContributions[] = "all contributions to all servers";

std::vector<Figure> SpeedFigures() {
  using G = FigureGroup;
  return {
      Row("samples_per_second", "samples/s", "slowest worker; all workers where work is claimed",
          "global batch * timed steps / timed seconds; where workers claim their work, the sum of "
          "their own rates; with backup workers, of the samples that updates are made from")
          .Value(RM_FIELD(samples_per_second))
          .Json()
          .Table(G::kSpeed, 1, {"samples", "/s", 0})
          .Report("samples_per_second", {"samples/s", "", 0})
          .Sweep(OverTrials::kInterval, {"samples/s", "", 0}),
      Row("own_samples_per_second", "samples/s", "all workers",
          "sum of the workers' own rates: in the solo arm what claimed work is measured against")
          .Value(RM_FIELD(own_samples_per_second))
          .Json()
          .OnDemand(G::kSpeed, 11, {"own", "/s", 0}),
      Row("tail_seconds", "s", "of the run",
          "where work is claimed, from the first worker for whom none was left to the last: in no "
          "rate")
          .Needs({Need::kClaims})
          .Value(RM_FIELD(tail_seconds))
          .Json()
          .OnDemand(G::kSpeed, 12, {"tail", "s", 2}),
      Row("samples_per_second_per_worker", "samples/s", "slowest worker",
          "samples/s over the workers that compute")
          .Value(SpeedOver(WorkersThatCompute))
          .Json()
          .OnDemand(G::kSpeed, 7, {"per worker", "/s", 0})
          .Report("samples_per_second_per_worker", {"per worker", "samples/s", 0}),
      Row("samples_per_second_per_node", "samples/s", "slowest worker",
          "samples/s over the processes, servers' too")
          .Value(SpeedOver([](const RunSummary& s) { return static_cast<double>(s.processes()); }))
          .Json()
          .OnDemand(G::kSpeed, 8, {"per process", "/s", 0})
          .Report("samples_per_second_per_node", {"per process", "samples/s", 0}),
      Row("speed_up_over_single", "", "slowest worker", "samples/s over single's")
          .Needs({Need::kSingle})
          .Value(RM_FIELD(speed_up_over_single))
          .Json()
          .Table(G::kSpeed, 2, {"speed-up", "× single", 2})
          .Report("speed_up_over_single", {"speed-up", "× single", 2}),
      Row("efficiency", "", "slowest worker",
          "samples/s over solo's, which are N times its slowest worker's, or where work is claimed "
          "the sum of its workers' own; not for single, which is one worker")
          .Needs({Need::kSolo})
          .Value(RM_FIELD(efficiency))
          .Json()
          .Table(G::kSpeed, 3, {"efficiency", "% of solo", 1, 100})
          .Report("efficiency", {"efficiency", "% of solo", 1, 100})
          .Sweep(OverTrials::kRatiosToSolo, {"efficiency %", "", 1, 100}),
  };
}

std::vector<Figure> StepFigures() {
  using G = FigureGroup;
  return {
      Row("step_ms_p50", "ms", kPooledSteps, "median step")
          .Value(RM_FIELD(step_ms_p50))
          .OfNode(NodeStepMs(0.5))
          .Json()
          .Table(G::kSpeed, 4, {"step p50", "ms", 2})
          .Report("step_ms_p50", {"step p50", "ms", 2})
          .Sweep(OverTrials::kMedian, {"step ms", "", 2}),
      Row("step_ms_p95", "ms", kPooledSteps,
          "step that 5 % are longer than, linear between neighbours")
          .Value(RM_FIELD(step_ms_p95))
          .OfNode(NodeStepMs(0.95))
          .Json()
          .Table(G::kSpeed, 5, {"step p95", "ms", 2})
          .Report("step_ms_p95", {"step p95", "ms", 2}),
      Row("fastest_rank_step_ms", "ms", "timed steps of each worker", "smallest median of a worker")
          .Value(RM_FIELD(fastest_rank_step_ms))
          .Json(),
      Row("slowest_rank_step_ms", "ms", "timed steps of each worker", "largest median of a worker")
          .Value(RM_FIELD(slowest_rank_step_ms))
          .Json(),
      Row("predicted_step_ms", "ms", "of the run",
          "what the cost model said of the median step before the run")
          .Needs({Need::kPrediction})
          .Value(RM_FIELD(predicted_step_ms))
          .Json()
          .OnDemand(G::kSpeed, 9, {"predicted", "step ms", 2})
          .Report("predicted_step_ms", {"predicted step", "ms", 2}),
      Row("processes_per_core", "", "of the run",
          "processes of the run, servers' too, over the cores of its machine")
          .Value(ProcessesPerCore)
          .Json()
          .Table(G::kSpeed, 6, {"processes", "/core", 1}),
      Row("run_seconds", "s", "of the run",
          "wall clock from the start of the first process to the end of the last; of an arm that "
          "took turns, all its turns together")
          .Value(RM_FIELD(run_seconds))
          .Json()
          .OnDemand(G::kSpeed, 10, {"run", "s", 1}),
  };
}

std::vector<Figure> TimeFigures() {
  using G = FigureGroup;
  return {
      Row("compute_ms", "ms", kMeanStep, "forward and backward")
          .Value(Phases({Phase::kForward, Phase::kBackward}))
          .OfNode(NodePhases({Phase::kForward, Phase::kBackward}))
          .Table(G::kTime, 1, {"compute", "", 2})
          .Report("compute_ms", {"compute", "ms", 2}),
      Row("gate_ms", "ms", kMeanStep, "the step thread waits for permission to start")
          .Value(Phases({Phase::kGate}))
          .OfNode(NodePhases({Phase::kGate}))
          .Table(G::kTime, 2, {"gate", "", 2})
          .Report("gate_ms", {"gate", "ms", 2}),
      Row("exposed_comm_ms", "ms", kMeanStep, "the step thread waits for exchange")
          .Needs({Need::kExchange})
          .Value(RM_FIELD(exposed_comm_ms))
          .OfNode(NodePhases({Phase::kExposed}))
          .Json()
          .Table(G::kTime, 3, {"exposed", "", 2})
          .Report("exposed_comm_ms", {"exposed", "ms", 2}),
      Row("hidden_comm_ms", "ms", kMeanStep,
          "encode, exchange and reduce of the exchange thread, less the time that the step thread "
          "waited (exposed, gate), at least 0: exchange while it computes")
          .Needs({Need::kExchange})
          .Value(RM_FIELD(hidden_comm_ms))
          .Json()
          .Table(G::kCommunication, 2, {"hidden", "ms", 2})
          .Report("hidden_comm_ms", {"hidden", "ms", 2}),
  };
}

std::vector<Figure> ContentionFigures() {
  using G = FigureGroup;
  return {
      // Encoding runs on the exchange thread, so none of it is taken off the step. Solo updates in
      // every step and a worker of a server never does, hence the difference. A median less means:
      // noise can push it below 0, and it is left there, for that shows how far the figure can be
      // trusted.
      Row("contention_ms", "ms", "medians of steps, means of phases",
          "(step p50 - solo's step p50) - exposed - gate - (update - solo's update): what exchange "
          "steals from computing on shared cores")
          .Needs({Need::kExchange, Need::kSolo})
          .Value(RM_FIELD(contention_ms))
          .Json()
          .Doubtful([](double ms) { return ms < -0.005; },
                    "contention below 0 is noise: less than this run can tell apart")
          .Table(G::kTime, 7, {"contention", "", 2})
          .Report("contention_ms", {"contention", "ms", 2}),
      Row("exposed_and_contention_ms", "ms", "medians of steps, means of phases",
          "exposed and contention together: by how much exchange makes a step longer, whether the "
          "step waits for it or shares its cores with it")
          .Needs({Need::kExchange, Need::kSolo})
          .Value(ExposedAndContentionMs)
          .Json()
          .Table(G::kTime, 8, {"exposed", "+ cont.", 2}),
      Row("exposed_share", "", kMeanStep,
          "exposed / (exposed + hidden): the share of communication for which the step waits")
          .Needs({Need::kExchange})
          .Value(ExposedShare)
          .Json()
          .Table(G::kCommunication, 1, {"exposed", "% of it", 1, 100}),
      Row("encode_ms", "ms", kMeanStep, "the exchange thread encodes, beside computing")
          .Needs({Need::kExchange})
          .Value(EncodeMs)
          .OfNode(NodePhases({Phase::kEncode}))
          .Table(G::kCommunication, 3, {"encode", "ms", 2}),
      Row("update_ms", "ms", kMeanStep, "the step thread adds and updates")
          .Value(Phases({Phase::kUpdate}))
          .OfNode(NodePhases({Phase::kUpdate}))
          .Table(G::kTime, 6, {"update", "", 2})
          .Report("update_ms", {"update", "ms", 2}),
  };
}

std::vector<Figure> BytesFigures() {
  using G = FigureGroup;
  return {
      Row("bytes_up_per_step", "bytes", kMeanOfAllSteps,
          "payload that a worker sends, indices included")
          .Needs({Need::kMeter})
          .Value(RM_FIELD(bytes_up_per_step))
          .Json()
          .Table(G::kBytes, 1, {"up", "kB/step", 1, 1e-3})
          .Report("kilobytes_up_per_step", {"up", "kB/step", 1, 1e-3}),
      Row("bytes_down_per_step", "bytes", kMeanOfAllSteps,
          "payload that a worker receives, indices included")
          .Needs({Need::kMeter})
          .Value(RM_FIELD(bytes_down_per_step))
          .Json()
          .Table(G::kBytes, 2, {"down", "kB/step", 1, 1e-3})
          .Report("kilobytes_down_per_step", {"down", "kB/step", 1, 1e-3}),
      Row("index_bytes_up_per_step", "bytes", kMeanOfAllSteps,
          "of the payload sent: indices of a sparse codec")
          .Needs({Need::kMeter})
          .Value(RM_FIELD(index_bytes_up_per_step))
          .Json()
          .OnDemand(G::kBytes, 5, {"index", "kB/step", 1, 1e-3}),
      Row("header_bytes_per_step", "bytes", kMeanOfAllSteps,
          "beside the payload, both ways: headers of frames")
          .Needs({Need::kMeter})
          .Value(RM_FIELD(header_bytes_per_step))
          .Json()
          .OnDemand(G::kBytes, 6, {"headers", "kB/step", 1, 1e-3}),
      Row("staleness_mean", "", kContributions,
          "updates of the same part applied between a worker's reading the weights and its "
          "gradient's being applied")
          .Needs({Need::kServers})
          .Value(RM_FIELD(staleness_mean))
          .OfNode([](const NodeOfRun& node) { return StalenessOfNode(node, false); })
          .Json()
          .Table(G::kBytes, 3, {"stale", "mean", 2})
          .Report("staleness_mean", {"staleness", "mean", 2}),
      Row("staleness_max", "", kContributions, "the largest staleness")
          .Needs({Need::kServers})
          .Value(RM_FIELD(staleness_max))
          .OfNode([](const NodeOfRun& node) { return StalenessOfNode(node, true); })
          .Json()
          .Whole()
          .Table(G::kBytes, 4, {"stale", "max", 0})
          .Report("staleness_max", {"staleness", "max", 0}),
  };
}

// Last, since columns of CSV that are added come last.
std::vector<Figure> SkewFigures() {
  using G = FigureGroup;
  return {
      Row("skew_ms", "ms", kMeanStep,
          "of exposed: until the last rank has its gradients, without which no exchange of the "
          "step can end; the last rank itself has none. Clocks of different machines are as far "
          "apart as the coordinator's welcome took longer to one of them")
          .Needs({Need::kExchange, Need::kLastRank})
          .Measured(MeanOfWorkers(SkewMs))
          .OfNode(OfWorker(SkewMs))
          .Json()
          .Table(G::kTime, 4, {"skew", "", 2})
          .Report("skew_ms", {"skew", "ms", 2}),
      Row("transfer_ms", "ms", kMeanStep,
          "exposed less skew: what the exchange itself takes after the last rank has its gradients")
          .Needs({Need::kExchange, Need::kLastRank})
          .Measured(MeanOfWorkers(TransferMs))
          .OfNode(OfWorker(TransferMs))
          .Json()
          .Table(G::kTime, 5, {"transfer", "", 2})
          .Report("transfer_ms", {"transfer", "ms", 2}),
      Row("consensus_distance", "", "at the end",
          "how far a worker's weights are from the model, where it is an average or a center that "
          "no worker computes with: the L2 norm of the difference over that of the model, the mean "
          "of all workers")
          .Needs({Need::kExchange, Need::kAroundModel})
          .Measured(MeanOfWorkers(ConsensusDistance))
          .OfNode(OfWorker(ConsensusDistance))
          .Json()
          .OnDemand(G::kLearning, 20, {"apart", "", 4}),
  };
}

// Of the worker that keeps most; absent where one has not said.
Value StateBytes(const RunRecord& record) {
  Value most;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (!worker.has_state_bytes()) return {};
      most = std::max(most.value_or(0), static_cast<double>(worker.state_bytes()));
    }
  }
  return most;
}

std::vector<Figure> StateFigures() {
  using G = FigureGroup;
  return {
      Row("state_bytes", "bytes", "largest of the workers",
          "what a worker keeps beside its weights from one step to the next: the arrays of its "
          "optimizer, where it updates weights, and the memory of strategy and codec")
          .Needs({Need::kState})
          .Measured(StateBytes)
          .OfNode(OfWorker([](const WorkerReport& worker) {
            return worker.has_state_bytes() ? Value(worker.state_bytes()) : Value();
          }))
          .Json()
          .Whole()
          .OnDemand(G::kMachine, 8, {"state", "kB", 1, 1e-3})
          .Report("state_kilobytes", {"state of a worker", "kB", 1, 1e-3}),
  };
}

#undef RM_FIELD

}  // namespace

std::vector<Figure> MakeFigures() {
  std::vector<Figure> all;
  for (auto* part :
       {SpeedFigures, StepFigures, TimeFigures, ContentionFigures, BytesFigures, HalvesFigures,
        LearningFigures, MachineFigures, SkewFigures, StateFigures, TestLossFigures}) {
    for (Figure& figure : part()) all.push_back(std::move(figure));
  }
  return all;
}

}  // namespace ringmaster
