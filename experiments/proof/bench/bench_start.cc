#include "experiments/proof/bench/bench_start.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/formats/json.h"
#include "common/machine/process_stat.h"
#include "experiments/program/run/placement.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/turns.h"
#include "experiments/study/results/schema_version.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr absl::Duration kPoll = absl::Milliseconds(5);
constexpr double kMebi = 1 << 20;

// A run that waits for its turns; a thread here leads it.
class HeldRun {
 public:
  explicit HeldRun(const RunSpec& spec) : spec_(spec) {}
  ~HeldRun() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start() {
    RM_ASSIGN_OR_RETURN(turns_,
                        TurnGiver::Create(TraitsOf(spec_).workers, spec_.training().steps()));
    thread_ = std::thread([this] {
      RunArmOptions options;
      options.interrupted = &stopped_;
      options.turns = turns_->path();
      options.progress = [this](const ArmProgress& progress) {
        absl::MutexLock lock(&mutex_);
        pids_ = progress.pids;
      };
      record_ = RunArm(spec_, options);
      ended_ = true;
    });
    return absl::OkStatus();
  }

  // Grants the steps below `step`, and returns when all workers have done them.
  absl::Status RunTo(int64_t step, const std::atomic<bool>& interrupted) {
    turns_->Grant({0, step});
    while (!turns_->AwaitAll(step, kPoll)) {
      if (interrupted) return absl::CancelledError("interrupted");
      if (ended_) return Failure();
    }
    return absl::OkStatus();
  }

  // By process, once the launcher knows all of them.
  absl::StatusOr<std::vector<ProcessCosts>> Look() {
    std::vector<int64_t> pids;
    do {
      if (ended_) return Failure();
      absl::SleepFor(kPoll);
      absl::MutexLock lock(&mutex_);
      pids = pids_;
    } while (pids.empty() || std::count(pids.begin(), pids.end(), 0) > 0);
    std::vector<ProcessCosts> costs;
    for (const int64_t pid : pids) {
      const std::optional<ProcessCosts> one = CostsOf(pid);
      if (!one.has_value())
        return absl::UnavailableError(
            absl::StrCat("process ", pid, " of the run cannot be seen in /proc"));
      costs.push_back(*one);
    }
    return costs;
  }

  absl::StatusOr<RunRecord> Finish() {
    turns_->Grant({0, spec_.training().steps()});
    thread_.join();
    if (record_.status() != "ok") return Failure();
    return std::move(record_);
  }

 private:
  absl::Status Failure() const {
    return absl::UnavailableError(absl::StrCat("arm ", spec_.name(), ": ", record_.status()));
  }

  const RunSpec& spec_;
  std::unique_ptr<TurnGiver> turns_;
  absl::Mutex mutex_;
  std::vector<int64_t> pids_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stopped_{false};
  std::atomic<bool> ended_{false};
  RunRecord record_;  // the thread's until it has ended
  std::thread thread_;
};

struct Group {
  double cpu_seconds_mean = 0;
  double memory_mib_mean = 0;
  double memory_mib_max = 0;
  double address_mib_max = 0;
  double mapping_mib_max = 0;
};

Group Summarized(const std::vector<ProcessCosts>& processes) {
  Group group;
  const auto count = static_cast<double>(processes.size());
  for (const ProcessCosts& process : processes) {
    group.cpu_seconds_mean += process.cpu_seconds / count;
    group.memory_mib_mean += static_cast<double>(process.memory_bytes) / kMebi / count;
    group.memory_mib_max =
        std::max(group.memory_mib_max, static_cast<double>(process.memory_bytes) / kMebi);
    group.address_mib_max =
        std::max(group.address_mib_max, static_cast<double>(process.address_bytes) / kMebi);
    group.mapping_mib_max =
        std::max(group.mapping_mib_max, static_cast<double>(process.largest_mapping_bytes) / kMebi);
  }
  return group;
}

size_t ProcessesOf(const StartCosts& start) { return start.workers.size() + start.servers.size(); }

Json JsonOf(const std::vector<ProcessCosts>& processes) {
  const Group group = Summarized(processes);
  return {{"processes", processes.size()},
          {"cpu_seconds", group.cpu_seconds_mean},
          {"memory_mib", group.memory_mib_mean},
          {"memory_mib_max", group.memory_mib_max},
          {"address_mib_max", group.address_mib_max},
          {"largest_mapping_mib", group.mapping_mib_max}};
}

}  // namespace

std::optional<ProcessCosts> CostsOf(int64_t pid) {
  ProcessCosts costs;
  const std::optional<ProcessStat> stat = ReadProcessStat(pid);
  if (!stat) return std::nullopt;
  costs.cpu_seconds = absl::ToDoubleSeconds(stat->cpu);
  std::ifstream rollup(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  for (std::string line; std::getline(rollup, line);) {
    long long kibibytes = 0;
    if (std::sscanf(line.c_str(), "Pss: %lld kB", &kibibytes) == 1)
      costs.memory_bytes = kibibytes << 10;
  }
  std::ifstream maps(absl::StrCat("/proc/", pid, "/maps"));
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    costs.address_bytes += static_cast<int64_t>(end - begin);
    costs.largest_mapping_bytes =
        std::max(costs.largest_mapping_bytes, static_cast<int64_t>(end - begin));
  }
  if (costs.memory_bytes == 0 || costs.address_bytes == 0) return std::nullopt;
  return costs;
}

absl::StatusOr<StartCosts> MeasureStart(const RunSpec& spec, const std::atomic<bool>& interrupted) {
  StartCosts start;
  start.name = spec.name();
  const Clock::time_point begin = Clock::now();
  HeldRun run(spec);
  RM_RETURN_IF_ERROR(run.Start());
  RM_RETURN_IF_ERROR(run.RunTo(0, interrupted));
  start.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  RM_ASSIGN_OR_RETURN(const std::vector<ProcessCosts> joined, run.Look());
  for (const ProcessCosts& process : joined) start.cpu_seconds += process.cpu_seconds;
  RM_RETURN_IF_ERROR(run.RunTo(2, interrupted));
  RM_ASSIGN_OR_RETURN(const std::vector<ProcessCosts> costs, run.Look());
  const std::vector<std::vector<NodeId>> processes = PlaceNodes(spec);
  for (size_t i = 0; i < processes.size(); ++i) {
    (processes[i].front().role == Role::kServer ? start.servers : start.workers)
        .push_back(costs[i]);
  }
  RM_ASSIGN_OR_RETURN(start.record, run.Finish());
  return start;
}

std::string StartTable(absl::Span<const StartCosts> starts) {
  const RunRecord& first = starts.front().record;
  const RunSpec& spec = first.spec();
  std::string table = absl::StrFormat(
      "# start of %d workers, %s on %s, transport %s, %s, %d cores (%s), commit %s\n"
      "# join: until every worker stands before its first step; memory (PSS), the largest mapping "
      "and the address "
      "space\n"
      "# after two steps\n"
      "%-18s  %9s  %8s  %10s  %11s  %7s  %10s  %11s  %11s\n",
      spec.training().workers(), spec.model().name(), spec.data().name(), spec.transport().name(),
      spec.training().has_emulated_compute() ? "compute emulated" : "computing",
      first.machine().cores(), first.machine().cpu(), first.build().commit(), "", "processes",
      "join (s)", "CPU s each", "memory each", "at most", "a server's", "largest map", "addresses");
  for (const StartCosts& start : starts) {
    const Group workers = Summarized(start.workers);
    absl::StrAppendFormat(
        &table, "%-18s  %9d  %8.2f  %10.3f  %7.1f MiB  %7.1f  %10s  %7.0f MiB  %7.0f MiB\n",
        start.name, ProcessesOf(start), start.seconds,
        start.cpu_seconds / static_cast<double>(ProcessesOf(start)), workers.memory_mib_mean,
        workers.memory_mib_max,
        start.servers.empty() ? "-"
                              : absl::StrFormat("%.1f", Summarized(start.servers).memory_mib_max),
        workers.mapping_mib_max, workers.address_mib_max);
  }
  return table;
}

std::string StartJson(absl::Span<const StartCosts> starts) {
  const RunRecord& first = starts.front().record;
  Json rows = Json::Array();
  for (const StartCosts& start : starts) {
    Json row = {{"arm", start.name},
                {"join_seconds", start.seconds},
                {"join_cpu_seconds", start.cpu_seconds / static_cast<double>(ProcessesOf(start))},
                {"workers", JsonOf(start.workers)}};
    if (!start.servers.empty()) row["servers"] = JsonOf(start.servers);
    rows.push_back(std::move(row));
  }
  const Json object = {{"benchmark", "start"},
                       {"cores", first.machine().cores()},
                       {"cpu", first.machine().cpu()},
                       {"commit", first.build().commit()},
                       {"workers", first.spec().training().workers()},
                       {"model", first.spec().model().name()},
                       {"transport", first.spec().transport().name()},
                       {"rows", rows},
                       {kSchemaVersionKey, kSchemaVersion}};
  return object.Dump();
}

}  // namespace ringmaster
