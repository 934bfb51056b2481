#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_SIMULATE_SAME_AS_REAL_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_SIMULATE_SAME_AS_REAL_H_

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/scheme/registry.h"
#include "experiments/study/simulate/simulated_run.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/support/arms.h"

namespace ringmaster {

inline SimulationOptions Learning(int32_t threads = 1) {
  SimulationOptions options;
  options.compute.mean = absl::Milliseconds(5);
  options.learns = true;
  options.threads = threads;
  return options;
}

// The resolved spec on a network of 1 Gbit/s and 50 us.
inline RunSpec OnNetwork(RunSpec spec) {
  NetworkSpec* const network = spec.mutable_transport()->mutable_network();
  network->set_megabits_per_second(1000);
  network->set_latency_ms(0.05);
  return spec;
}

inline const WorkerReport& ReportOf(const RunRecord& record, int32_t rank) {
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.rank() == rank) return worker;
    }
  }
  ADD_FAILURE() << "no worker/" << rank;
  return WorkerReport::default_instance();
}

// Weights, bytes, losses and scores of `spec` in simulated time are those of a real run.
inline void ExpectSameAsReal(const RunSpec& spec) {
  SCOPED_TRACE(spec.name());
  const RunRecord real = RunInProcess(spec);
  ASSERT_EQ(real.status(), "ok");
  const RunRecord simulated = SimulateRun(OnNetwork(spec), Learning());
  ASSERT_EQ(simulated.status(), "ok");
  for (int32_t rank = 0; rank < TraitsOf(spec).workers; ++rank) {
    SCOPED_TRACE(absl::StrCat("worker/", rank));
    const WorkerReport& own = ReportOf(simulated, rank);
    const WorkerReport& others = ReportOf(real, rank);
    EXPECT_EQ(own.weights_sha256(), others.weights_sha256());
    EXPECT_EQ(own.payload_bytes_up(), others.payload_bytes_up());
    EXPECT_EQ(own.payload_bytes_down(), others.payload_bytes_down());
    EXPECT_EQ(absl::StrJoin(own.step_loss(), " "), absl::StrJoin(others.step_loss(), " "));
    EXPECT_EQ(own.has_consensus_distance(), others.has_consensus_distance());
    EXPECT_EQ(own.consensus_distance(), others.consensus_distance());
  }
  const WorkerReport& own = ReportOf(simulated, 0);
  const WorkerReport& others = ReportOf(real, 0);
  ASSERT_EQ(own.evaluations_size(), others.evaluations_size());
  for (int mark = 0; mark < own.evaluations_size(); ++mark) {
    EXPECT_EQ(own.evaluations(mark).samples_seen(), others.evaluations(mark).samples_seen());
    EXPECT_EQ(own.evaluations(mark).test_accuracy(), others.evaluations(mark).test_accuracy());
    // Real workers add the losses of their shares of the set.
    EXPECT_NEAR(own.evaluations(mark).test_loss(), others.evaluations(mark).test_loss(), 1e-12);
  }
  EXPECT_EQ(own.final_loss_count(), others.final_loss_count());
  EXPECT_NEAR(own.final_loss(), others.final_loss(), 1e-9);
}

// Its workers keep step, and a simulation learns what they learn.
inline bool IsSynchronousAndLearns(const ArmUnderTest& arm) {
  SimulationOptions options = Learning();
  return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether &&
         arm.traits.backup_workers == 0 && CheckSimulatable(OnNetwork(arm.spec), options).ok();
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_SIMULATE_SAME_AS_REAL_H_
