#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_REPORT_RUNS_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_REPORT_RUNS_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "experiments/study/report/comparisons.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Records as finished and failed runs leave them, for tests of reports.

inline constexpr int kSteps = 60;

inline RunSpec SpecOf(const std::string& arm, int workers) {
  RunSpec base;
  base.mutable_data()->set_name("synthetic");
  base.mutable_model()->set_name("mlp");
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(kSteps);
  return *Resolve(*MakeArm(arm, base), ResolveContext{});
}

// A finished run whose workers all take `step_ms` a step; of which a third is waiting for exchange.
inline RunRecord RunOf(const RunSpec& spec, float step_ms) {
  static int runs = 0;
  RunRecord record;
  record.set_run_id(absl::StrCat("r", ++runs));
  record.set_started_at(absl::StrCat("2024-01-01T00:00:", 10 + runs % 50, "Z"));
  record.set_status("ok");
  *record.mutable_spec() = spec;
  record.mutable_build()->set_commit("abc");
  record.mutable_machine()->set_host_hash("h1");
  record.mutable_machine()->set_cores(2);
  record.mutable_conditions()->set_seconds(3);
  const int workers = spec.strategy().has_single() ? 1 : spec.training().workers();
  for (int rank = 0; rank < workers; ++rank) {
    WorkerReport* worker = record.add_reports()->add_workers();
    worker->set_rank(rank);
    for (int step = 0; step < kSteps; ++step) {
      worker->add_step_ms(step_ms);
      worker->add_step_loss(2.0f / static_cast<float>(1 + step));
      if (spec.strategy().work() == StrategySpec::CLAIMED) worker->add_lots(step * workers + rank);
    }
    worker->set_timed_steps(kSteps - 10);
    worker->set_timed_seconds(step_ms * (kSteps - 10) / 1000);
    (*worker->mutable_phase_ms())["forward"] = step_ms / 3;
    (*worker->mutable_phase_ms())["backward"] = step_ms / 3;
    if (!spec.strategy().has_solo() && !spec.strategy().has_single())
      (*worker->mutable_phase_ms())["exposed"] = step_ms / 3;
    worker->set_payload_bytes_up(1000 * kSteps);
    Evaluation* evaluation = worker->add_evaluations();
    evaluation->set_seconds(1.5);
    evaluation->set_test_accuracy(0.975);
    evaluation->set_samples_seen(640);
  }
  if (spec.strategy().has_parameter_server()) {
    ServerReport* server = record.add_reports()->add_servers();
    for (const int64_t count : {60, 30, 10}) server->add_staleness_histogram(count);
  }
  return record;
}

inline RunRecord FailedRun(const RunSpec& spec, const std::string& status) {
  RunRecord record = RunOf(spec, 1);
  record.set_status(status);
  record.clear_reports();
  return record;
}

// Solo, ps and ring with `trials` runs each: ring takes 4 ms a step, ps 4 times `slower` of it.
inline std::vector<RunRecord> Runs(int workers, const std::vector<float>& slower) {
  std::vector<RunRecord> records;
  for (size_t trial = 0; trial < slower.size(); ++trial) {
    for (const char* arm : {"solo", "ps", "ring"}) {
      RunSpec spec = SpecOf(arm, workers);
      spec.mutable_training()->set_seed(trial + 1);
      const float wobble = 0.01f * static_cast<float>(trial);
      records.push_back(RunOf(spec, (arm == std::string("solo") ? 2
                                     : arm == std::string("ps") ? 4 * slower[trial]
                                                                : 4) +
                                        wobble));
    }
  }
  return records;
}

inline std::vector<RunRecord> operator+(std::vector<RunRecord> a, const std::vector<RunRecord>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline const ReportCell& CellOf(const Comparison& comparison, const std::string& arm) {
  for (const ReportCell& cell : comparison.cells) {
    if (cell.arm == arm) return cell;
  }
  ADD_FAILURE() << "no arm " << arm;
  return comparison.cells.front();
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_REPORT_RUNS_H_
