#include "experiments/study/results/machine_figures.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/config/describe.h"
#include "experiments/program/run/memory/memory_need.h"
#include "experiments/study/results/figure_row.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using Value = std::optional<double>;

// Milliseconds of computing that a process took for each sample of the global batch. All workers of
// a process have measured the same, each over its own timed steps: the first one's counts.
Value CpuMsPerSample(const RunSpec& spec, const ProcessReport& process) {
  const bool trains = process.workers_size() > 0;
  if (trains ? !process.workers(0).has_process_cpu_seconds() : !process.costs().has_cpu_seconds())
    return {};
  const double seconds =
      trains ? process.workers(0).process_cpu_seconds() : process.costs().cpu_seconds();
  // Where work is claimed the worker has made other steps than the run has.
  double samples = static_cast<double>(spec.training().steps() * GlobalBatch(spec));
  if (trains) {
    samples *= static_cast<double>(process.workers(0).timed_steps()) /
               std::max(1, process.workers(0).step_ms_size());
  }
  return samples > 0 ? Value(1000 * seconds / samples) : Value();
}

Value PssBytes(const RunSpec&, const ProcessReport& process) {
  if (!process.costs().has_pss_bytes()) return {};
  return static_cast<double>(process.costs().pss_bytes());
}

Value PeakRssBytes(const RunSpec&, const ProcessReport& process) {
  if (!process.costs().has_peak_rss_bytes()) return {};
  return static_cast<double>(process.costs().peak_rss_bytes());
}

using OfProcess = Value (*)(const RunSpec&, const ProcessReport&);

bool IsAny(const ProcessReport&) { return true; }
bool HasWorker(const ProcessReport& process) { return process.workers_size() > 0; }
bool HasServer(const ProcessReport& process) { return process.servers_size() > 0; }

// Over the processes that `counts` picks; absent where there are none, or one of them has no value.
auto OverProcesses(OfProcess value, bool (*counts)(const ProcessReport&),
                   double (*fold)(double, double)) {
  return [value, counts, fold](const RunRecord& record) -> Value {
    Value all;
    for (const ProcessReport& process : record.reports()) {
      if (!counts(process)) continue;
      const Value one = value(record.spec(), process);
      if (!one.has_value()) return {};
      all = all.has_value() ? fold(*all, *one) : *one;
    }
    return all;
  };
}

double Sum(double a, double b) { return a + b; }
double Largest(double a, double b) { return std::max(a, b); }

auto OfItsProcess(OfProcess value) {
  return [value](const NodeOfRun& node) { return value(*node.spec, *node.process); };
}

std::vector<Figure> CpuFigures() {
  using G = FigureGroup;
  return {
      Row("cpu_ms_per_sample", "ms", "sum of all processes",
          "computing time, user and system, of all threads, for each sample: over the timed steps; "
          "of a process of servers alone over all steps")
          .Needs({Need::kCosts})
          .Measured(OverProcesses(CpuMsPerSample, IsAny, Sum))
          .OfNode(OfItsProcess(CpuMsPerSample))
          .Json()
          .OnDemand(G::kMachine, 1, {"cpu", "ms/sample", 3})
          .Report("cpu_ms_per_sample", {"cpu", "ms/sample", 3}),
      Row("worker_cpu_ms_per_sample", "ms", "sum of the processes with workers",
          "cpu_ms_per_sample of these, servers in them included")
          .Needs({Need::kCosts})
          .Measured(OverProcesses(CpuMsPerSample, HasWorker, Sum))
          .Json()
          .OnDemand(G::kMachine, 2, {"cpu workers", "ms/sample", 3})
          .Report("worker_cpu_ms_per_sample", {"cpu of workers", "ms/sample", 3}),
      Row("server_cpu_ms_per_sample", "ms", "sum of the processes with servers",
          "cpu_ms_per_sample of these, workers in them included")
          .Needs({Need::kCosts, Need::kServers})
          .Measured(OverProcesses(CpuMsPerSample, HasServer, Sum))
          .Json()
          .OnDemand(G::kMachine, 3, {"cpu servers", "ms/sample", 3})
          .Report("server_cpu_ms_per_sample", {"cpu of servers", "ms/sample", 3}),
  };
}

// Over the processes in which a node of that role was to live; empty: over all.
Value Planned(const RunRecord& record, absl::string_view role, double (*fold)(double, double)) {
  Value all;
  for (const MemoryNeed& need : record.memory_needs()) {
    const bool counts =
        std::any_of(need.nodes().begin(), need.nodes().end(), [role](const std::string& node) {
          return absl::string_view(node).substr(0, role.size()) == role;
        });
    if (!counts) continue;
    const auto bytes = static_cast<double>(TotalBytes(need));
    all = all.has_value() ? fold(*all, bytes) : bytes;
  }
  return all;
}

FigureFormat Megabytes(const char* title) { return {title, "MB", 1, 1e-6}; }

std::vector<Figure> PlannedFigures() {
  using G = FigureGroup;
  return {
      Row("planned_bytes", "bytes", "sum of all processes",
          "what the run was said to take before it started (memory_needs), as pss_bytes has it")
          .Needs({Need::kPlan})
          .Measured([](const RunRecord& record) { return Planned(record, "", Sum); })
          .Json()
          .Whole()
          .OnDemand(G::kMachine, 9, Megabytes("planned")),
      Row("worker_planned_bytes", "bytes", "largest process with workers",
          "planned_bytes of it, servers in it included")
          .Needs({Need::kPlan})
          .Measured([](const RunRecord& record) { return Planned(record, "worker/", Largest); })
          .Json()
          .Whole()
          .OnDemand(G::kMachine, 10, Megabytes("planned worker")),
      Row("server_planned_bytes", "bytes", "largest process with servers",
          "planned_bytes of it, workers in it included")
          .Needs({Need::kPlan, Need::kServers})
          .Measured([](const RunRecord& record) { return Planned(record, "server/", Largest); })
          .Json()
          .Whole()
          .OnDemand(G::kMachine, 11, Megabytes("planned server")),
  };
}

bool Always(double) { return true; }
constexpr char kSharedInTurns[] =
    "memory is proportional (PSS): arms that took turns share the program's pages, so each shows "
    "less than it would alone";

std::vector<Figure> MemoryFigures() {
  using G = FigureGroup;
  return {
      Row("pss_bytes", "bytes", "sum of all processes",
          "proportional set size after the last step, when all that training took is still there: "
          "a shared page counts in each process by its share, so that the sum is the run's. Where "
          "arms took turns pages of the program are shared with the parked ones too, so it is "
          "lower "
          "than of an arm that runs alone. Without a GPU's memory")
          .Needs({Need::kCosts})
          .Measured(OverProcesses(PssBytes, IsAny, Sum))
          .OfNode(OfItsProcess(PssBytes))
          .Json()
          .Whole()
          .Doubtful(Always, kSharedInTurns)
          .OnDemand(G::kMachine, 4, Megabytes("memory"))
          .Report("pss_megabytes", Megabytes("memory")),
      Row("worker_pss_bytes", "bytes", "largest process with workers",
          "pss_bytes of it, servers in it included")
          .Needs({Need::kCosts})
          .Measured(OverProcesses(PssBytes, HasWorker, Largest))
          .Json()
          .Whole()
          .Doubtful(Always, kSharedInTurns)
          .OnDemand(G::kMachine, 5, Megabytes("a worker"))
          .Report("worker_pss_megabytes", Megabytes("memory of a worker")),
      Row("server_pss_bytes", "bytes", "largest process with servers",
          "pss_bytes of it, workers in it included")
          .Needs({Need::kCosts, Need::kServers})
          .Measured(OverProcesses(PssBytes, HasServer, Largest))
          .Json()
          .Whole()
          .Doubtful(Always, kSharedInTurns)
          .OnDemand(G::kMachine, 6, Megabytes("a server"))
          .Report("server_pss_megabytes", Megabytes("memory of a server")),
      Row("peak_rss_bytes", "bytes", "largest process",
          "largest resident set size at any time, loading of data and messages under way included; "
          "shared pages count in whole")
          .Needs({Need::kCosts})
          .Measured(OverProcesses(PeakRssBytes, IsAny, Largest))
          .OfNode(OfItsProcess(PeakRssBytes))
          .Json()
          .Whole()
          .OnDemand(G::kMachine, 7, Megabytes("peak RSS"))
          .Report("peak_rss_megabytes", Megabytes("peak resident")),
  };
}

// Of the halves that all workers have counted, the share that `count` says.
auto ShareOfHalves(int64_t (HalfCounts::*count)() const) {
  return [count](const RunRecord& record) -> Value {
    double counted = 0, elements = 0;
    for (const ProcessReport& process : record.reports()) {
      for (const WorkerReport& worker : process.workers()) {
        counted += static_cast<double>((worker.halves().*count)());
        elements += static_cast<double>(worker.halves().elements());
      }
    }
    return elements > 0 ? Value(counted / elements) : Value();
  };
}

constexpr char kEveryThirtySecondStep[] = "all workers, every 32nd step from step 0 on";

}  // namespace

std::vector<Figure> MachineFigures() {
  std::vector<Figure> all = CpuFigures();
  for (Figure& figure : MemoryFigures()) all.push_back(std::move(figure));
  for (Figure& figure : PlannedFigures()) all.push_back(std::move(figure));
  return all;
}

std::vector<Figure> HalvesFigures() {
  using G = FigureGroup;
  return {
      Row("halves_zero_share", "", kEveryThirtySecondStep,
          "of the gradients sent as halves: those that are not 0 and are sent as 0")
          .Needs({Need::kHalves})
          .Measured(ShareOfHalves(&HalfCounts::zeros))
          .Json()
          .OnDemand(G::kBytes, 7, {"to 0", "% halves", 3, 100}),
      Row("halves_subnormal_share", "", kEveryThirtySecondStep,
          "of the gradients sent as halves: those below 2^-14, which keep fewer than 11 bits")
          .Needs({Need::kHalves})
          .Measured(ShareOfHalves(&HalfCounts::subnormals))
          .Json()
          .OnDemand(G::kBytes, 8, {"subnormal", "% halves", 3, 100}),
      Row("halves_saturated_share", "", kEveryThirtySecondStep,
          "of the gradients sent as halves: those of 65504 and beyond, which are sent as 65504")
          .Needs({Need::kHalves})
          .Measured(ShareOfHalves(&HalfCounts::saturated))
          .Json()
          .Doubtful([](double share) { return share > 0; },
                    "some gradients were beyond the range of halves and were sent as 65504")
          .OnDemand(G::kBytes, 9, {"saturated", "% halves", 3, 100}),
  };
}

}  // namespace ringmaster
