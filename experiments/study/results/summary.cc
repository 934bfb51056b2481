#include "experiments/study/results/summary.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "common/trace/trace.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/pooling.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

std::vector<const WorkerReport*> WorkersByRank(const RunRecord& record) {
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  }
  std::sort(workers.begin(), workers.end(),
            [](const WorkerReport* a, const WorkerReport* b) { return a->rank() < b->rank(); });
  return workers;
}

// Workers that were lost and that the others went on without, each with its own share of a step.
int32_t WorkersMissing(const RunRecord& record) {
  int32_t missing = 0;
  for (const Loss& loss : record.losses()) {
    if (loss.reformed() || loss.restarted()) continue;
    missing += static_cast<int32_t>(
        std::count_if(loss.nodes().begin(), loss.nodes().end(),
                      [](const std::string& node) { return absl::StartsWith(node, "worker/"); }));
  }
  return missing;
}

bool ExchangesNothing(const RunSummary& summary) {
  return summary.strategy() == "single" || summary.strategy() == "solo";
}

// Steps a second of one worker: of those that are timed, or of all where it made no more than those
// of the warm-up.
double OwnStepsPerSecond(const WorkerReport& worker) {
  if (worker.timed_seconds() > 0 && worker.timed_steps() > 0)
    return static_cast<double>(worker.timed_steps()) / worker.timed_seconds();
  double seconds = 0;
  for (const float step_ms : worker.step_ms()) seconds += step_ms / 1000;
  return seconds > 0 ? worker.step_ms_size() / seconds : 0;
}

// Where work is claimed each worker counts at its own rate.
void SummarizeOwnRates(const RunRecord& record, const std::vector<const WorkerReport*>& workers,
                       RunSummary* summary) {
  double steps_per_second = 0;
  double first_end = workers.front()->training_seconds(), last_end = first_end;
  for (const WorkerReport* worker : workers) {
    steps_per_second += OwnStepsPerSecond(*worker);
    first_end = std::min(first_end, worker->training_seconds());
    last_end = std::max(last_end, worker->training_seconds());
  }
  if (!(steps_per_second > 0)) return;
  summary->set_own_samples_per_second(steps_per_second *
                                      static_cast<double>(summary->global_batch()) /
                                      static_cast<double>(workers.size() + WorkersMissing(record)));
  if (summary->work() != WorkName(Work::kClaimed)) return;
  summary->set_samples_per_second(summary->own_samples_per_second());
  summary->set_tail_seconds(last_end - first_end);
}

// Samples of a step that the model has learned from: at its end, where workers were lost.
double UsedSamples(const RunRecord& record) {
  const RunSpec& spec = record.spec();
  const int32_t workers = spec.training().workers();
  const int32_t unused = std::max(TraitsOf(spec).backup_workers, WorkersMissing(record));
  return static_cast<double>(GlobalBatch(spec)) * (workers - unused) / workers;
}

// Timed steps of the run: the worker's own, and those that the others ended without it.
int64_t TimedStepsOfRun(const RunSpec& spec, const WorkerReport& worker) {
  if (worker.skipped_steps() == 0) return worker.timed_steps();
  return spec.training().steps() - spec.training().warmup_steps() - worker.untimed_steps_size();
}

void SummarizeSpeed(const RunRecord& record, const std::vector<const WorkerReport*>& workers,
                    RunSummary* summary) {
  const RunSpec& spec = record.spec();
  const WorkerReport& slowest = **std::max_element(
      workers.begin(), workers.end(), [](const WorkerReport* a, const WorkerReport* b) {
        return a->timed_seconds() < b->timed_seconds();
      });
  if (slowest.timed_seconds() > 0 && slowest.timed_steps() > 0) {
    summary->set_samples_per_second(UsedSamples(record) *
                                    static_cast<double>(TimedStepsOfRun(spec, slowest)) /
                                    slowest.timed_seconds());
  }
  SummarizeOwnRates(record, workers, summary);
  const std::optional<StepTimes> steps = StepTimesOf(workers);
  if (!steps.has_value()) return;
  summary->set_step_ms_p50(steps->p50_ms);
  summary->set_step_ms_p95(steps->p95_ms);
  summary->set_ranks_differ(steps->ranks_differ);
  summary->set_fastest_rank_step_ms(steps->fastest_rank_ms);
  summary->set_slowest_rank_step_ms(steps->slowest_rank_ms);
}

void SummarizePhases(const std::vector<const WorkerReport*>& workers, RunSummary* summary) {
  for (const WorkerReport* worker : workers) {
    for (const auto& [name, milliseconds] : worker->phase_ms()) {
      (*summary->mutable_phase_ms())[name] += milliseconds / static_cast<double>(workers.size());
    }
  }
  if (ExchangesNothing(*summary)) return;
  const auto phase = [&](Phase which) { return PhaseMs(*summary, PhaseName(which)); };
  summary->set_exposed_comm_ms(phase(Phase::kExposed));
  const double exchange = phase(Phase::kEncode) + phase(Phase::kExchange) + phase(Phase::kReduce);
  summary->set_hidden_comm_ms(
      std::max(0.0, exchange - phase(Phase::kExposed) - phase(Phase::kGate)));
}

void SummarizeBytes(const std::vector<const WorkerReport*>& workers, RunSummary* summary) {
  double worker_steps = 0, up = 0, down = 0, index = 0, header = 0;
  for (const WorkerReport* worker : workers) {
    if (!worker->engine().empty()) return;  // not metered
    worker_steps += worker->step_ms_size();
    up += static_cast<double>(worker->payload_bytes_up());
    down += static_cast<double>(worker->payload_bytes_down());
    index += static_cast<double>(worker->index_bytes_up());
    header += static_cast<double>(worker->header_bytes_up() + worker->header_bytes_down());
  }
  if (worker_steps == 0) return;
  summary->set_bytes_up_per_step(up / worker_steps);
  summary->set_bytes_down_per_step(down / worker_steps);
  summary->set_index_bytes_up_per_step(index / worker_steps);
  summary->set_header_bytes_per_step(header / worker_steps);
}

void SummarizeStaleness(const RunRecord& record, RunSummary* summary) {
  std::vector<const ServerReport*> servers;
  for (const ProcessReport& process : record.reports()) {
    for (const ServerReport& server : process.servers()) servers.push_back(&server);
  }
  const PooledStaleness staleness = PoolStaleness(servers);
  if (staleness.contributions == 0) return;
  summary->set_staleness_mean(staleness.mean);
  summary->set_staleness_max(staleness.largest);
}

void SummarizeLearning(const WorkerReport& first, RunSummary* summary) {
  summary->set_final_loss(first.final_loss());
  if (!first.weights_sha256().empty()) summary->set_weights_sha256(first.weights_sha256());
  if (first.evaluations_size() == 0) return;
  summary->set_test_accuracy(first.evaluations(first.evaluations_size() - 1).test_accuracy());
  for (const AccuracyThreshold& threshold : AccuracyThresholds()) {
    for (const Evaluation& evaluation : first.evaluations()) {
      if (evaluation.test_accuracy() < threshold.accuracy) continue;
      (*summary->mutable_seconds_to_accuracy())[threshold.name] = evaluation.seconds();
      break;
    }
  }
}

// The arm of `strategy` with the same workers and batch as `like` that has figures; null where
// there is none.
const RunSummary* FindBase(const std::vector<RunSummary>& summaries, const char* strategy,
                           const RunSummary& like) {
  for (const RunSummary& summary : summaries) {
    if (summary.strategy() == strategy && summary.has_samples_per_second() &&
        summary.workers() == like.workers() && summary.global_batch() == like.global_batch()) {
      return &summary;
    }
  }
  return nullptr;
}

// The transports that carried a run's messages: what all its processes report together, each once,
// in alphabetical order, "shm+tcp". Empty: no process has reported.
std::string TransportsOf(const RunRecord& record) {
  std::set<std::string> names;
  for (const ProcessReport& process : record.reports()) {
    for (const absl::string_view name : absl::StrSplit(process.transport(), '+', absl::SkipEmpty()))
      names.emplace(name);
  }
  return absl::StrJoin(names, "+");
}

std::string BytesText(double bytes) {
  return bytes < 1e6 ? absl::StrFormat("%.4g kB", bytes / 1e3)
                     : absl::StrFormat("%.4g MB", bytes / 1e6);
}

}  // namespace

double PhaseMs(const RunSummary& summary, const char* name) {
  const auto found = summary.phase_ms().find(name);
  return found == summary.phase_ms().end() ? 0.0 : found->second;
}

double CeilingFor(const RunSummary& arm, const RunSummary& solo) {
  const bool claims = arm.work() == WorkName(Work::kClaimed);
  return claims && solo.has_own_samples_per_second() ? solo.own_samples_per_second()
                                                     : solo.samples_per_second();
}

const RunSummary* FindSolo(const std::vector<RunSummary>& summaries) {
  for (const RunSummary& summary : summaries) {
    if (summary.strategy() == "solo" && summary.has_own_samples_per_second()) return &summary;
  }
  return nullptr;
}

RunSummary Summarize(const RunRecord& record) {
  const RunSpec& spec = record.spec();
  RunSummary summary;
  summary.set_arm(spec.name());
  summary.set_strategy(std::string(StrategyName(spec.strategy())));
  summary.set_codec(spec.codec().name());
  summary.set_workers(spec.training().workers());
  summary.set_servers(TraitsOf(spec).servers);
  summary.set_work(std::string(WorkName(TraitsOf(spec).work)));
  // What ran, once anything has: "auto" names none.
  const std::string transports = TransportsOf(record);
  summary.set_transport(transports.empty() ? spec.transport().name() : transports);
  summary.set_status(record.status());
  summary.set_steps(spec.training().steps());
  summary.set_global_batch(GlobalBatch(spec));
  summary.set_processes(TraitsOf(spec).processes);
  if (record.machine().cores() > 0) {
    summary.set_processes_per_core(static_cast<double>(summary.processes()) /
                                   record.machine().cores());
  }
  double run_seconds = record.turns().empty() ? record.conditions().seconds() : 0;
  for (const ArmTurn& turn : record.turns()) run_seconds += turn.seconds();
  if (run_seconds > 0) summary.set_run_seconds(run_seconds);
  if (record.has_prediction()) summary.set_predicted_step_ms(record.prediction().step_ms());
  if (record.has_sweep()) {
    summary.set_sweep(record.sweep().sweep());
    summary.set_cell(record.sweep().cell());
    summary.set_trial(record.sweep().trial());
    summary.set_settings(record.sweep().settings());
  }
  for (const TuningTrial& trial : record.tuning()) {
    if (trial.chosen()) *summary.mutable_tuned() = trial.values();
  }
  const std::vector<const WorkerReport*> workers = WorkersByRank(record);
  if (!workers.empty() && !workers.front()->engine().empty())
    summary.set_transport(workers.front()->engine());
  if (record.status() != "ok" || workers.empty()) return summary;
  SummarizeSpeed(record, workers, &summary);
  SummarizePhases(workers, &summary);
  SummarizeBytes(workers, &summary);
  SummarizeStaleness(record, &summary);
  const bool learned = !record.has_simulation() || record.simulation().learns();
  if (IsScored(spec) && learned) SummarizeLearning(*workers.front(), &summary);
  KeepFigures(record, &summary);
  return summary;
}

void AddComparative(std::vector<RunSummary>* summaries) {
  for (RunSummary& summary : *summaries) {
    summary.clear_speed_up_over_single();
    summary.clear_efficiency();
    summary.clear_contention_ms();
    if (!summary.has_samples_per_second()) continue;
    const RunSummary* single = FindBase(*summaries, "single", summary);
    const RunSummary* solo = FindBase(*summaries, "solo", summary);
    if (single != nullptr) {
      summary.set_speed_up_over_single(summary.samples_per_second() / single->samples_per_second());
    }
    if (solo == nullptr || summary.strategy() == "single") continue;
    summary.set_efficiency(summary.samples_per_second() / CeilingFor(summary, *solo));
    // A difference of medians says nothing where they are not those of equal workers.
    if (summary.strategy() == "solo" || summary.ranks_differ() || solo->ranks_differ()) continue;
    const char* update = PhaseName(Phase::kUpdate);
    summary.set_contention_ms(summary.step_ms_p50() - solo->step_ms_p50() -
                              summary.exposed_comm_ms() -
                              PhaseMs(summary, PhaseName(Phase::kGate)) -
                              (PhaseMs(summary, update) - PhaseMs(*solo, update)));
  }
}

std::string WiresText(const RunRecord& record) {
  struct Bytes {
    double up = 0;
    double down = 0;
  };
  std::map<std::string, Bytes> by_wire;
  double worker_steps = 0;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      worker_steps += worker.step_ms_size();
      for (const WireTraffic& wire : worker.wires()) {
        Bytes& bytes = by_wire[wire.wire()];
        bytes.up += static_cast<double>(wire.payload_bytes_up());
        bytes.down += static_cast<double>(wire.payload_bytes_down());
      }
    }
  }
  const std::set<int32_t> hosts(record.hosts().begin(), record.hosts().end());
  if (by_wire.empty() || (by_wire.size() < 2 && hosts.size() < 2) || worker_steps == 0) return "";
  std::vector<std::string> up, down;
  for (const auto& [wire, bytes] : by_wire) {
    up.push_back(absl::StrCat(wire, " ", BytesText(bytes.up / worker_steps)));
    down.push_back(absl::StrCat(wire, " ", BytesText(bytes.down / worker_steps)));
  }
  return absl::StrCat("wires: ", record.spec().name(), ": ", absl::StrJoin(up, ", "),
                      " a step up, ", absl::StrJoin(down, ", "), " down");
}

}  // namespace ringmaster
