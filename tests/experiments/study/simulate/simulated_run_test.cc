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
#include "tests/experiments/study/simulate/same_as_real.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

class EverySynchronousArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(SimulatedRun, EverySynchronousArm,
                         testing::ValuesIn(ArmsThat(IsSynchronousAndLearns)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EverySynchronousArm, EndsWithTheBitsAndBytesOfRealWorkers) {
  for (const int32_t workers : {1, 2, 3, 4}) {
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

// Of a codec that is summed in rounds the first steps have one, and later ones several.
TEST(SimulatedRun, EndsWithTheBitsOfRealWorkersAfterAWarmUpOfRounds) {
  const auto is_in_rounds = [](const ArmUnderTest& arm) { return arm.codec.in_rounds; };
  const std::vector<std::string> arms = ArmsThat(is_in_rounds);
  EXPECT_FALSE(arms.empty());
  for (const std::string& arm : arms) {
    RunSpec base = SmallSpec(2, /*exact_sums=*/false);
    base.clear_codec();
    RunSpec spec = ArmOf(arm, base);
    spec.mutable_codec()->set_warmup_steps(3);
    ExpectSameAsReal(spec);
    SimulationOptions options = Learning();
    const RunRecord learned = SimulateRun(OnNetwork(spec), options);
    options.learns = false;
    const RunRecord played = SimulateRun(OnNetwork(spec), options);
    EXPECT_EQ(played.simulation().virtual_seconds(), learned.simulation().virtual_seconds());
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
