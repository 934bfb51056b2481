// Runs in simulated time end with what real ones end with, and take what arithmetic says.
#include "experiments/study/simulate/simulated_run.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/collective/choice.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/resolve_spec.h"
#include "gtest/gtest.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

SimulationOptions Learning(int32_t threads = 1) {
  SimulationOptions options;
  options.compute.mean = absl::Milliseconds(5);
  options.learns = true;
  options.threads = threads;
  return options;
}

// The resolved spec on a network of 1 Gbit/s and 50 us.
RunSpec OnNetwork(RunSpec spec) {
  NetworkSpec* const network = spec.mutable_transport()->mutable_network();
  network->set_megabits_per_second(1000);
  network->set_latency_ms(0.05);
  return spec;
}

const WorkerReport& ReportOf(const RunRecord& record, int32_t rank) {
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.rank() == rank) return worker;
    }
  }
  ADD_FAILURE() << "no worker/" << rank;
  return WorkerReport::default_instance();
}

// Weights, bytes, losses and scores of `spec` in simulated time are those of a real run.
void ExpectSameAsReal(const RunSpec& spec) {
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

bool IsSynchronousAndLearns(const ArmUnderTest& arm) {
  SimulationOptions options = Learning();
  return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether &&
         arm.traits.backup_workers == 0 && CheckSimulatable(OnNetwork(arm.spec), options).ok();
}

class EverySynchronousArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(SimulatedRun, EverySynchronousArm,
                         testing::ValuesIn(ArmsThat(IsSynchronousAndLearns)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EverySynchronousArm, EndsWithTheBitsAndBytesOfRealWorkers) {
  for (const int32_t workers : {2, 3, 4}) {
    RunSpec base = SmallSpec(workers, /*exact_sums=*/workers > 2);
    base.mutable_training()->set_evaluate_every_samples(3 * GlobalBatch(base));
    base.clear_codec();  // the arm's own
    ExpectSameAsReal(ArmOf(GetParam(), base));
  }
}

bool ExchangesWeights(const ArmUnderTest& arm) {
  return IsSynchronousAndLearns(arm) && arm.traits.exchanged != Exchanged::kGradients;
}

// Short periods, after synchronous steps where the scheme has them, so that some marks find all
// workers equal and others do not; with momentum, which stays with each worker.
RunSpec ExchangingOften(const std::string& arm, const RunSpec& base) {
  RunSpec spec = ArmOf(arm, base);
  ExchangeOften(&spec);
  if (spec.strategy().has_local_sgd())
    spec.mutable_strategy()->mutable_local_sgd()->set_synchronous_steps(2);
  if (spec.strategy().has_gossip()) spec.mutable_strategy()->mutable_gossip()->set_every_steps(3);
  spec.mutable_optimizer()->set_name("momentum");
  spec.mutable_optimizer()->set_momentum(0.9f);
  spec.mutable_training()->set_evaluate_every_samples(2 * GlobalBatch(spec));
  const auto resolved = ResolveAndValidate(spec, "");
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

// Sums of weights round, so the order of their additions shows.
TEST(SimulatedRun, OfWorkersThatExchangeWeightsHasTheirBitsBetweenExchangesToo) {
  const std::vector<std::string> arms = ArmsThat(ExchangesWeights);
  EXPECT_FALSE(arms.empty());
  for (const std::string& arm : arms) {
    for (const int32_t workers : {1, 4, 5}) {
      RunSpec base = SmallSpec(workers, /*exact_sums=*/false);
      base.clear_codec();
      ExpectSameAsReal(ExchangingOften(arm, base));
    }
  }
}

TEST(SimulatedRun, AveragesWeightsByTheCollectiveThatTheSpecNames) {
  for (const CollectiveInfo& collective : CollectiveChoices()) {
    RunSpec spec = ExchangingOften("local-sgd", SmallSpec(4, /*exact_sums=*/false));
    spec.mutable_strategy()->mutable_local_sgd()->set_collective(std::string(collective.name));
    spec.set_name(absl::StrCat("local-sgd by ", collective.name));
    if (!ResolveAndValidate(spec, "").ok()) continue;
    ExpectSameAsReal(spec);
  }
}

// Running statistics are averaged, and an outer optimizer leaves them as averaged.
TEST(SimulatedRun, AveragesRunningStatisticsAsRealWorkersDo) {
  RunSpec base = SmallSpec(2, /*exact_sums=*/false);
  base.mutable_model()->Clear();
  base.mutable_model()->set_name("resnet");
  base.mutable_model()->mutable_resnet()->set_blocks(1);
  base.mutable_model()->mutable_resnet()->set_width(4);
  base.mutable_model()->mutable_resnet()->set_norm("batch");
  base.mutable_data()->mutable_synthetic()->set_channels(3);
  base.mutable_data()->mutable_synthetic()->set_width(8);
  base.mutable_training()->set_batch_per_worker(4);
  base.mutable_training()->set_steps(8);
  base.mutable_training()->clear_warmup_steps();
  base.clear_codec();
  ExpectSameAsReal(ExchangingOften("diloco", base));
}

class EveryCodec : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(SimulatedRun, EveryCodec, testing::ValuesIn(AllCodecs()),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryCodec, EndsWithTheBitsAndBytesOfRealWorkers) {
  for (const char* arm : {"ring", "ps"}) {
    RunSpec base = SmallSpec(2, /*exact_sums=*/false);
    base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
    RunSpec spec = ArmOf(arm, base);
    ChooseCodec(GetParam(), spec.mutable_codec());
    if (!ResolveAndValidate(spec, "").ok()) continue;
    ExpectSameAsReal(spec);
  }
}

TEST(SimulatedRun, RepeatsToTheBitWithAnyNumberOfThreads) {
  const auto is_wanted = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && !IsSynchronousAndLearns(arm) &&
           CheckSimulatable(OnNetwork(arm.spec), Learning()).ok();
  };
  for (const std::string& arm : ArmsThat(is_wanted)) {
    SCOPED_TRACE(arm);
    RunSpec base = SmallSpec(3, /*exact_sums=*/false);
    base.clear_codec();
    const RunSpec spec = OnNetwork(ArmOf(arm, base));
    SimulationOptions options = Learning();
    options.compute.sigma = 0.3;
    const RunRecord one = SimulateRun(spec, options);
    options.threads = 3;
    const RunRecord three = SimulateRun(spec, options);
    ASSERT_EQ(one.status(), "ok");
    ASSERT_EQ(one.reports_size(), three.reports_size());
    for (int process = 0; process < one.reports_size(); ++process)
      EXPECT_EQ(one.reports(process).DebugString(), three.reports(process).DebugString());
    RunSpec other = spec;
    other.mutable_training()->set_seed(spec.training().seed() + 1);
    EXPECT_NE(ReportOf(SimulateRun(other, options), 0).weights_sha256(),
              ReportOf(one, 0).weights_sha256());
  }
}

// Without data the same events happen at the same moments.
TEST(SimulatedRun, TakesTheTimeWithoutLearningThatItTakesWithIt) {
  for (const std::string& arm : ArmsThat(IsSynchronousAndLearns)) {
    SCOPED_TRACE(arm);
    RunSpec base = SmallSpec(4, /*exact_sums=*/true);
    base.clear_codec();
    const RunSpec spec = OnNetwork(ArmOf(arm, base));
    SimulationOptions options = Learning();
    const RunRecord learned = SimulateRun(spec, options);
    options.learns = false;
    if (!CheckSimulatable(spec, options).ok()) continue;  // how long encodings are is not known
    const RunRecord played = SimulateRun(spec, options);
    ASSERT_EQ(played.status(), "ok");
    EXPECT_EQ(played.simulation().virtual_seconds(), learned.simulation().virtual_seconds());
    const int32_t last = TraitsOf(spec).workers - 1;
    EXPECT_EQ(ReportOf(played, last).payload_bytes_up(),
              ReportOf(learned, last).payload_bytes_up());
  }
}

// N - 1 rounds twice, of a share each, and the latency of each: no step computes.
TEST(SimulatedRun, OfARingTakesWhatTheFormulaSays) {
  RunSpec base = SmallSpec(4, /*exact_sums=*/false);
  base.mutable_training()->set_bucket_bytes(1 << 30);
  const RunSpec spec = OnNetwork(ArmOf("ring", base));
  SimulationOptions options;
  const RunRecord record = SimulateRun(spec, options);
  ASSERT_EQ(record.status(), "ok");
  const double bytes = static_cast<double>(ReportOf(record, 0).payload_bytes_up()) /
                       static_cast<double>(spec.training().steps());
  const double seconds = bytes / 125e6 + 2 * 3 * 50e-6;
  EXPECT_NEAR(record.simulation().virtual_seconds(),
              seconds * static_cast<double>(spec.training().steps()), 0.02 * seconds);
}

// The slowest of N workers decides: E[max] of lognormal steps, by numerical integration.
TEST(SimulatedRun, StepsOfSynchronousArmsTakeTheSlowestWorkersTime) {
  struct Known {
    int32_t workers;
    double sigma, factor;
  };
  constexpr int64_t kSteps = 300;
  for (const Known& known : {Known{8, 0.1, 1.149}, {8, 0.3, 1.491}, {64, 0.3, 1.949}}) {
    RunSpec base = SmallSpec(known.workers, /*exact_sums=*/false);
    base.mutable_training()->set_steps(kSteps);
    base.mutable_training()->set_bucket_bytes(1 << 30);
    // 2 (N - 1) messages a step
    const RunSpec spec = OnNetwork(ArmOf("reduce-broadcast", base));
    SimulationOptions options;
    options.compute.mean = absl::Seconds(100);  // beside which exchange is nothing
    options.compute.sigma = known.sigma;
    const RunRecord record = SimulateRun(spec, options);
    ASSERT_EQ(record.status(), "ok");
    // Three deviations of the mean of 300 maxima, each of which has one of up to 0.3.
    EXPECT_NEAR(record.simulation().virtual_seconds() / kSteps / 100, known.factor, 0.05);
  }
}

// What a viewer opens: each traced step, filled by its phases one after the other.
TEST(SimulatedRun, TracesTheStepsThatAreAskedFor) {
  for (const char* arm : {"ring", "async", "local-sgd"}) {
    SCOPED_TRACE(arm);
    RunSpec spec = OnNetwork(ArmOf(arm, SmallSpec(2, /*exact_sums=*/false)));
    spec.mutable_output()->set_trace_steps(3);
    SimulationOptions options;
    options.compute.mean = absl::Milliseconds(5);
    const RunRecord record = SimulateRun(spec, options);
    ASSERT_EQ(record.status(), "ok");
    const ProcessReport& process = record.reports(0);
    ASSERT_EQ(process.traces_size(), 1);
    const ThreadTrace& trace = process.traces(0);
    EXPECT_EQ(trace.node(), "worker/0");
    int steps = 0;
    int64_t filled = 0, whole = 0;
    for (const TraceSpan& span : trace.spans()) {
      if (span.phase() != "step") {
        filled += span.duration_ns();
        continue;
      }
      whole += span.duration_ns();
      const float step_ms = process.workers(0).step_ms(static_cast<int>(span.step()));
      EXPECT_NEAR(1e-6 * static_cast<double>(span.duration_ns()), step_ms, 1e-4 * step_ms);
      ++steps;
    }
    EXPECT_EQ(steps, 3);
    EXPECT_NEAR(static_cast<double>(filled), static_cast<double>(whole), 100) << "rounding";
    spec.mutable_output()->set_trace_steps(0);
    EXPECT_EQ(SimulateRun(spec, options).reports(0).traces_size(), 0);
  }
}

TEST(SimulatedRun, SaysHowMuchMemoryItTakesWhereThereIsTooLittle) {
  const RunSpec spec = OnNetwork(ArmOf("ring", SmallSpec(4, /*exact_sums=*/false)));
  SimulationOptions options;
  EXPECT_TRUE(CheckSimulationMemory(spec, options, 1).ok()) << "time alone takes next to nothing";
  options.learns = true;
  EXPECT_TRUE(CheckSimulationMemory(spec, options, std::nullopt).ok());
  EXPECT_TRUE(CheckSimulationMemory(spec, options, int64_t{1} << 40).ok());
  const absl::Status little = CheckSimulationMemory(spec, options, 1);
  EXPECT_EQ(little.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(little.message(), "with 4 workers of")) << little;
  EXPECT_TRUE(absl::StrContains(little.message(), "use fewer workers")) << little;
}

// Chunks are rounded up to equal ones: of so few elements that is much, so bytes say how much.
TEST(SimulatedRun, MergedSaysSoAndReportsEveryWorker) {
  RunSpec base = SmallSpec(4, /*exact_sums=*/false);
  base.mutable_training()->set_bucket_bytes(1 << 30);
  const RunSpec spec = OnNetwork(ArmOf("ring", base));
  SimulationOptions options;
  options.compute.mean = absl::Milliseconds(5);
  const RunRecord whole = SimulateRun(spec, options);
  options.merges = true;
  ASSERT_TRUE(CheckSimulatable(spec, options).ok());
  const RunRecord merged = SimulateRun(spec, options);
  ASSERT_EQ(merged.status(), "ok");
  EXPECT_EQ(whole.simulation().merged_workers(), 0);
  EXPECT_EQ(merged.simulation().merged_workers(), 4);
  EXPECT_EQ(merged.simulation().messages(), whole.simulation().messages());
  ASSERT_EQ(merged.reports_size(), whole.reports_size());
  const double rounded_up = static_cast<double>(ReportOf(merged, 0).payload_bytes_up()) /
                            static_cast<double>(ReportOf(whole, 0).payload_bytes_up());
  EXPECT_GE(rounded_up, 1 - 1e-3);
  EXPECT_NEAR(merged.simulation().virtual_seconds() / whole.simulation().virtual_seconds(), 1,
              std::abs(rounded_up - 1) + 1e-3);
  for (int32_t rank = 0; rank < 4; ++rank)
    EXPECT_EQ(ReportOf(merged, rank).step_ms_size(), spec.training().steps());
}

TEST(SimulatedRun, WorkersThatDifferAreNotMerged) {
  const auto why = [](const RunSpec& spec, const SimulationOptions& options) {
    const absl::Status status = CheckSimulatable(spec, options);
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(absl::StrContains(status.message(), "--merge"));
    return std::string(status.message());
  };
  const RunSpec base = SmallSpec(4, /*exact_sums=*/false);
  const RunSpec ring = OnNetwork(ArmOf("ring", base));
  SimulationOptions options;
  options.merges = true;
  EXPECT_TRUE(CheckSimulatable(ring, options).ok());
  EXPECT_TRUE(absl::StrContains(why(OnNetwork(ArmOf("ps", base)), options), "strategy"));
  RunSpec spec = ring;
  spec.mutable_training()->add_slowdowns()->set_factor(2);
  EXPECT_TRUE(absl::StrContains(why(spec, options), "slowed down"));
  spec = ring;
  spec.mutable_transport()->mutable_network()->set_jitter_ms(1);
  EXPECT_TRUE(absl::StrContains(why(spec, options), "jitter"));
  spec = ring;
  spec.mutable_transport()->mutable_network()->mutable_racks()->set_workers_each(2);
  EXPECT_TRUE(absl::StrContains(why(spec, options), "rack"));
  spec = ring;
  spec.mutable_transport()->mutable_network()->add_nodes()->set_node("worker/1");
  EXPECT_TRUE(absl::StrContains(why(spec, options), "nodes"));
  spec = ring;
  spec.mutable_transport()->mutable_network()->add_links()->set_from("worker/1");
  EXPECT_TRUE(absl::StrContains(why(spec, options), "links"));
  options.compute.sigma = 0.3;
  EXPECT_TRUE(absl::StrContains(why(ring, options), "--compute"));
  options.compute.sigma = 0;
  options.learns = true;
  EXPECT_TRUE(absl::StrContains(why(ring, options), "--learn"));
}

TEST(SimulatedRun, EndsAtTheFirstMarkWithTheAccuracy) {
  RunSpec base = SmallSpec(2, /*exact_sums=*/false);
  base.mutable_training()->set_evaluate_every_samples(GlobalBatch(base));
  const auto learns = [](const ArmUnderTest& arm) {
    return Exchanges(arm) && CheckSimulatable(OnNetwork(arm.spec), Learning()).ok();
  };
  for (const std::string& arm : OneArmOfEachScheme(learns)) {
    SCOPED_TRACE(arm);
    const RunSpec spec = OnNetwork(ArmOf(arm, base));
    SimulationOptions options = Learning();
    const RunRecord whole = SimulateRun(spec, options);
    const auto& marks = ReportOf(whole, 0).evaluations();
    const auto hit = std::find_if(marks.begin(), marks.end(),
                                  [](const Evaluation& mark) { return mark.test_accuracy() > 0; });
    ASSERT_LT(hit - marks.begin(), marks.size() - 1);
    options.stop_at_accuracy = hit->test_accuracy();
    const RunRecord stopped = SimulateRun(spec, options);
    ASSERT_EQ(stopped.status(), "ok");
    EXPECT_TRUE(stopped.simulation().stopped_at_accuracy());
    const WorkerReport& report = ReportOf(stopped, 0);
    const Evaluation& last = report.evaluations(report.evaluations_size() - 1);
    EXPECT_EQ(last.DebugString(), hit->DebugString());
    EXPECT_LT(stopped.simulation().virtual_seconds(), whole.simulation().virtual_seconds());
  }
}

TEST(SimulatedRun, WhatItCannotPlayIsRefusedWithWhatToDo) {
  const RunSpec base = SmallSpec(2, /*exact_sums=*/false);
  const auto why = [](const RunSpec& spec, const SimulationOptions& options) {
    const absl::Status status = CheckSimulatable(spec, options);
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  EXPECT_TRUE(absl::StrContains(why(ArmOf("ring", base), Learning()), "--network"));
  const auto is_of_a_library = [](const ArmUnderTest& arm) { return !arm.traits.engine.empty(); };
  for (const std::string& arm : ArmsThat(is_of_a_library))
    EXPECT_TRUE(absl::StrContains(why(OnNetwork(ArmOf(arm, base)), Learning()), "that arm")) << arm;
  SimulationOptions time_alone;
  RunSpec variable = OnNetwork(ArmOf("ring", base));
  ChooseCodec("threshold", variable.mutable_codec());
  EXPECT_TRUE(absl::StrContains(why(variable, time_alone), "add --learn"));
  time_alone.stop_at_accuracy = 0.9;
  EXPECT_TRUE(absl::StrContains(why(OnNetwork(ArmOf("ring", base)), time_alone), "--learn"));
  RunSpec emulated = OnNetwork(ArmOf("ring", base));
  emulated.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
  EXPECT_TRUE(absl::StrContains(SimulateRun(emulated, Learning()).status(), "--compute"));
}

// A gradient that is not finite ends the run as it ends a real one.
TEST(SimulatedRun, FailsWithWorkerAndStepWhereALossIsNoNumber) {
  RunSpec base = SmallSpec(2, /*exact_sums=*/false);
  base.mutable_optimizer()->set_learning_rate(1e30);
  const RunRecord record = SimulateRun(OnNetwork(ArmOf("ring", base)), Learning());
  EXPECT_TRUE(absl::StrContains(record.status(), "worker/")) << record.status();
  EXPECT_TRUE(absl::StrContains(record.status(), "step=")) << record.status();
}

}  // namespace
}  // namespace ringmaster
