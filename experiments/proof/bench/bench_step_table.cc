#include "experiments/proof/bench/bench_step_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/formats/json.h"
#include "experiments/proof/bench/bench_times.h"
#include "experiments/study/results/schema_version.h"
#include "experiments/study/results/statistics.h"
#include "experiments/study/results/summary.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr const char* kPhases[] = {"gate",     "load",     "upload",  "forward",
                                   "backward", "download", "exposed", "update"};

// A strategy's time against somebody's.
struct Comparison {
  const StepTimes* ours;
  const StepTimes* theirs;
  bool efficiency;  // theirs is our own solo
  MedianInterval ratio;
};

bool IsSolo(const StepTimes& times) { return times.ours && times.name == "solo"; }

std::vector<Comparison> ComparisonsOf(const std::vector<StepTimes>& times) {
  std::vector<Comparison> comparisons;
  for (const StepTimes& ours : times) {
    if (!ours.ours || (IsSolo(ours) && times.size() > 1)) continue;
    for (const StepTimes& theirs : times) {
      if (theirs.ours && !IsSolo(theirs)) continue;
      if (&ours == &theirs) continue;
      comparisons.push_back(
          {&ours, &theirs, theirs.ours, PairedRatio(ours.step_ms, theirs.step_ms)});
    }
  }
  return comparisons;
}

double SamplesPerSecond(const StepBench& bench, double step_ms) {
  const TrainingSpec& training = bench.runs.front().training();
  return training.workers() * training.batch_per_worker() / step_ms * 1e3;
}

std::string Head(const StepBench& bench, const RunRecord& record) {
  const RunSpec& run = bench.runs.front();
  return absl::StrFormat(
      "# training step, %s: %d workers x %d samples, transport %s, wait %s, kernels %s, %d cores "
      "(%s), commit %s\n",
      run.model().name(), run.training().workers(), run.training().batch_per_worker(),
      run.transport().name(), run.transport().wait(), record.machine().kernel_target(),
      record.machine().cores(), record.machine().cpu(), record.build().commit());
}

}  // namespace

std::string StepTable(const StepBench& bench, const std::vector<StepTimes>& times) {
  std::string table = Head(bench, times.front().record);
  absl::StrAppendFormat(
      &table, "# %d blocks of %d steps each, in turns; buffers: warm, as training leaves them\n",
      bench.blocks, bench.block_steps);
  absl::StrAppendFormat(&table, "%-22s  %9s  %9s  %9s  %11s", "", "step (ms)", "least", "p95",
                        "samples/s");
  for (const char* phase : kPhases) absl::StrAppendFormat(&table, "  %8s", phase);
  table += "\n";
  for (const StepTimes& row : times) {
    const BenchTimes step = TimesOf(row.step_ms);
    absl::StrAppendFormat(&table, "%-22s  %9.3f  %9.3f  %9.3f  %11.0f", row.name, step.median,
                          step.least, step.p95, SamplesPerSecond(bench, step.median));
    for (const char* phase : kPhases) {
      if (row.ours) absl::StrAppendFormat(&table, "  %8.3f", PhaseMs(row.record.summary(), phase));
    }
    table += "\n";
  }
  for (const Comparison& comparison : ComparisonsOf(times)) {
    absl::StrAppendFormat(&table, "%s %s %s: %.3f, 95 %% %.3f to %.3f", comparison.ours->name,
                          comparison.efficiency ? "efficiency against" : "times as fast as",
                          comparison.theirs->name, comparison.ratio.median, comparison.ratio.low,
                          comparison.ratio.high);
    const std::string& handicap = comparison.theirs->handicap;
    absl::StrAppend(&table, handicap.empty() ? "" : "  crippled: ", handicap, "\n");
  }
  return table;
}

std::string StepJson(const StepBench& bench, const std::vector<StepTimes>& times) {
  const RunSpec& run = bench.runs.front();
  const RunRecord& record = times.front().record;
  Json object;
  object["benchmark"] = "step";
  object["model"] = run.model().name();
  object["workers"] = run.training().workers();
  object["batch_per_worker"] = run.training().batch_per_worker();
  object["transport"] = run.transport().name();
  object["wait"] = run.transport().wait();
  object["kernels"] = record.machine().kernel_target();
  object["cpu"] = record.machine().cpu();
  object["cores"] = record.machine().cores();
  object["commit"] = record.build().commit();
  object["blocks"] = bench.blocks;
  object["block_steps"] = bench.block_steps;
  object["rows"] = Json::Array();
  for (const StepTimes& times_of : times) {
    const BenchTimes step = TimesOf(times_of.step_ms);
    Json row = {{"name", times_of.name},
                {"step_ms", step.median},
                {"step_ms_p95", step.p95},
                {"samples_per_second", SamplesPerSecond(bench, step.median)},
                {"step_ms_by_block", times_of.step_ms}};
    if (!times_of.ours) row["handicap"] = times_of.handicap;
    for (const char* phase : kPhases) {
      if (times_of.ours) row["phase_ms"][phase] = PhaseMs(times_of.record.summary(), phase);
    }
    object["rows"].push_back(std::move(row));
  }
  object["ratios"] = Json::Array();
  for (const Comparison& comparison : ComparisonsOf(times)) {
    object["ratios"].push_back({{"ours", comparison.ours->name},
                                {"theirs", comparison.theirs->name},
                                {"theirs_over_ours", comparison.ratio.median},
                                {"low", comparison.ratio.low},
                                {"high", comparison.ratio.high}});
  }
  object[kSchemaVersionKey] = kSchemaVersion;
  return object.Dump();
}

}  // namespace ringmaster
