#include "experiments/study/results/summary.h"

#include <string>
#include <utility>
#include <vector>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "experiments/study/results/figures.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

// A record of `arm` with two workers of 32 samples, 4 steps of which the last 3 are timed.
RunRecord Record(const std::string& arm) {
  RunSpec base;
  base.mutable_training()->set_steps(4);
  base.mutable_training()->set_warmup_steps(1);
  RunRecord record;
  *record.mutable_spec() = *Resolve(*MakeArm(arm, base), {"/data", 0});
  record.set_status("ok");
  record.mutable_machine()->set_cores(2);
  return record;
}

WorkerReport* AddWorker(int32_t rank, double timed_seconds, std::vector<float> step_ms,
                        RunRecord* record) {
  WorkerReport* worker = record->add_reports()->add_workers();
  worker->set_rank(rank);
  worker->set_timed_seconds(timed_seconds);
  worker->set_timed_steps(3);
  for (float ms : step_ms) worker->add_step_ms(ms);
  return worker;
}

// Reports arrive in no particular order: rank 1 first.
RunRecord PsRecord() {
  RunRecord record = Record("ps");
  WorkerReport* second = AddWorker(1, 0.060, {900, 20, 10, 18}, &record);
  (*second->mutable_phase_ms())["exposed"] = 4;
  (*second->mutable_phase_ms())["gate"] = 2;
  (*second->mutable_phase_ms())["forward"] = 5;
  second->set_payload_bytes_up(4000);
  second->set_payload_bytes_down(8000);
  second->set_final_loss(99);
  WorkerReport* first = AddWorker(0, 0.050, {800, 22, 12, 14}, &record);
  (*first->mutable_phase_ms())["exposed"] = 2;
  (*first->mutable_phase_ms())["forward"] = 3;
  (*first->mutable_phase_ms())["encode"] = 1;
  (*first->mutable_phase_ms())["exchange"] = 20;
  (*first->mutable_phase_ms())["reduce"] = 3;
  first->set_payload_bytes_up(2000);
  first->set_payload_bytes_down(8000);
  first->set_index_bytes_up(400);
  first->set_header_bytes_up(80);
  first->set_header_bytes_down(160);
  first->set_final_loss(0.25);
  first->set_weights_sha256("abc");
  for (const auto& [seconds, accuracy] :
       {std::pair{1.0, 0.90}, {2.0, 0.971}, {3.0, 0.96}, {4.0, 0.975}}) {
    Evaluation* evaluation = first->add_evaluations();
    evaluation->set_seconds(seconds);
    evaluation->set_test_accuracy(accuracy);
  }
  ServerReport* server = record.add_reports()->add_servers();
  server->add_staleness_histogram(6);
  server->add_staleness_histogram(0);
  server->add_staleness_histogram(2);
  server->add_staleness_histogram(0);
  return record;
}

TEST(Summarize, WhatWasPredictedStandsBesideWhatWasMeasured) {
  RunRecord record = PsRecord();
  EXPECT_FALSE(Summarize(record).has_predicted_step_ms());
  record.mutable_prediction()->set_step_ms(12.5);
  EXPECT_EQ(Summarize(record).predicted_step_ms(), 12.5);
}

TEST(Summarize, SettingsAndResourcesAreCounted) {
  const RunSummary summary = Summarize(PsRecord());
  EXPECT_EQ(summary.arm(), "ps");
  EXPECT_EQ(summary.strategy(), "parameter_server");
  EXPECT_EQ(summary.codec(), "none");
  EXPECT_EQ(summary.workers(), 2);
  EXPECT_EQ(summary.servers(), 1);
  EXPECT_EQ(summary.transport(), "grpc");
  EXPECT_EQ(summary.steps(), 4);
  EXPECT_EQ(summary.global_batch(), 64);
  EXPECT_EQ(summary.processes(), 3);
  EXPECT_DOUBLE_EQ(summary.processes_per_core(), 1.5);
}

TEST(Summarize, SpeedFollowsTheSlowestWorkerAndLeavesWarmUpOut) {
  const RunSummary summary = Summarize(PsRecord());
  EXPECT_DOUBLE_EQ(summary.samples_per_second(), 64 * 3 / 0.060);
  // Timed steps, sorted: 10 12 14 18 20 22.
  EXPECT_DOUBLE_EQ(summary.step_ms_p50(), 16);
  EXPECT_DOUBLE_EQ(summary.step_ms_p95(), 21.5);
}

TEST(Summarize, WhereRanksDifferTheMiddleRankIsShownAndNothingIsPooled) {
  RunRecord record = PsRecord();
  EXPECT_FALSE(Summarize(record).ranks_differ());
  EXPECT_DOUBLE_EQ(Summarize(record).fastest_rank_step_ms(), 14);
  EXPECT_DOUBLE_EQ(Summarize(record).slowest_rank_step_ms(), 18);
  AddWorker(2, 0.24, {900, 81, 80, 82}, &record);
  AddWorker(3, 0.06, {900, 16, 15, 17}, &record);
  const RunSummary summary = Summarize(record);
  EXPECT_TRUE(summary.ranks_differ());
  // By rank: 14, 18, 81, 16.
  EXPECT_DOUBLE_EQ(summary.fastest_rank_step_ms(), 14);
  EXPECT_DOUBLE_EQ(summary.slowest_rank_step_ms(), 81);
  EXPECT_DOUBLE_EQ(summary.step_ms_p50(), 16);
  EXPECT_DOUBLE_EQ(summary.step_ms_p95(), 16.9);
}

TEST(Summarize, EqualStepsOfEmulatedRanksDoNotDifferByTheirNoise) {
  RunRecord record = Record("ring");
  AddWorker(0, 0.060, {20, 20.05f, 20.06f, 20.07f}, &record);
  AddWorker(1, 0.060, {20, 20.15f, 20.16f, 20.17f}, &record);
  EXPECT_FALSE(Summarize(record).ranks_differ());
  AddWorker(2, 0.063, {20, 21.2f, 21.2f, 21.2f}, &record);
  EXPECT_TRUE(Summarize(record).ranks_differ());
}

TEST(Summarize, PhasesAreMeansOverWorkersAndHiddenIsExchangeThatNobodyWaitedFor) {
  const RunSummary summary = Summarize(PsRecord());
  EXPECT_DOUBLE_EQ(summary.phase_ms().at("forward"), 4);
  EXPECT_DOUBLE_EQ(summary.exposed_comm_ms(), 3);
  EXPECT_DOUBLE_EQ(PhaseMs(summary, "gate"), 1);
  EXPECT_DOUBLE_EQ(summary.hidden_comm_ms(), 12 - 3 - 1);
  EXPECT_DOUBLE_EQ(PhaseMs(summary, "download"), 0);
  RunRecord waiting = PsRecord();
  (*waiting.mutable_reports(0)->mutable_workers(0)->mutable_phase_ms())["exposed"] = 400;
  EXPECT_DOUBLE_EQ(Summarize(waiting).hidden_comm_ms(), 0);
}

TEST(Summarize, BytesAreMeansPerWorkerAndStepOfAllSteps) {
  const RunSummary summary = Summarize(PsRecord());
  EXPECT_DOUBLE_EQ(summary.bytes_up_per_step(), 6000.0 / 8);
  EXPECT_DOUBLE_EQ(summary.bytes_down_per_step(), 16000.0 / 8);
  EXPECT_DOUBLE_EQ(summary.index_bytes_up_per_step(), 50);
  EXPECT_DOUBLE_EQ(summary.header_bytes_per_step(), 30);
}

TEST(Summarize, StalenessIsOverAllContributionsAndItsMaximumIsTheLastThatOccurred) {
  const RunSummary summary = Summarize(PsRecord());
  EXPECT_DOUBLE_EQ(summary.staleness_mean(), 0.5);
  EXPECT_EQ(summary.staleness_max(), 2);
}

TEST(Summarize, LearningIsRankZerosAndTheTimeThatOfTheFirstEvaluationThatReachesIt) {
  const RunSummary summary = Summarize(PsRecord());
  EXPECT_DOUBLE_EQ(summary.final_loss(), 0.25);
  EXPECT_DOUBLE_EQ(summary.test_accuracy(), 0.975);
  EXPECT_EQ(summary.weights_sha256(), "abc");
  ASSERT_EQ(summary.seconds_to_accuracy().size(), 1u);
  EXPECT_DOUBLE_EQ(summary.seconds_to_accuracy().at("0.97"), 2.0);
}

TEST(Summarize, AFailedRunHasAStatusAndNoFigures) {
  RunRecord record = PsRecord();
  record.set_status("UNAVAILABLE: worker/1 died");
  const RunSummary summary = Summarize(record);
  EXPECT_EQ(summary.status(), "UNAVAILABLE: worker/1 died");
  EXPECT_FALSE(summary.has_samples_per_second());
  EXPECT_FALSE(summary.has_step_ms_p50());
  EXPECT_FALSE(summary.has_final_loss());
  EXPECT_FALSE(summary.has_bytes_up_per_step());
  EXPECT_TRUE(summary.phase_ms().empty());
}

TEST(Summarize, SoloHasNoLearningAndNoCommunication) {
  RunRecord record = Record("solo");
  WorkerReport* worker = AddWorker(0, 0.030, {9, 10, 10, 10}, &record);
  worker->set_final_loss(0.1);
  worker->set_weights_sha256("abc");
  worker->add_evaluations()->set_test_accuracy(0.99);
  const RunSummary summary = Summarize(record);
  EXPECT_DOUBLE_EQ(summary.samples_per_second(), 64 * 3 / 0.030);
  EXPECT_FALSE(summary.has_final_loss());
  EXPECT_FALSE(summary.has_test_accuracy());
  EXPECT_FALSE(summary.has_weights_sha256());
  EXPECT_TRUE(summary.seconds_to_accuracy().empty());
  EXPECT_FALSE(summary.has_exposed_comm_ms());
  EXPECT_FALSE(summary.has_hidden_comm_ms());
  EXPECT_FALSE(summary.has_staleness_mean());
  EXPECT_DOUBLE_EQ(summary.bytes_up_per_step(), 0);
}

TEST(Summarize, TheExposedShareIsOfAllCommunicationAndUndefinedWhereThereIsNone) {
  EXPECT_DOUBLE_EQ(FigureByTag("exposed_share").value(Summarize(PsRecord())).value(),
                   3.0 / (3 + 8));
  EXPECT_FALSE(FigureByTag("exposed_share").value(Summarize(Record("solo"))).has_value());
  RunRecord alone = Record("ring");  // a ring of one sends nothing
  alone.mutable_spec()->mutable_training()->set_workers(1);
  AddWorker(0, 0.030, {9, 10, 10, 10}, &alone);
  EXPECT_FALSE(FigureByTag("exposed_share").value(Summarize(alone)).has_value());
}

std::vector<RunSummary> Comparison() {
  RunRecord single = Record("single");
  AddWorker(0, 0.080, {30, 26, 26, 26}, &single);
  RunRecord solo = Record("solo");
  (*AddWorker(0, 0.030, {9, 10, 10, 10}, &solo)->mutable_phase_ms())["update"] = 0.5;
  return {Summarize(PsRecord()), Summarize(single), Summarize(solo)};
}

TEST(AddComparative, SpeedUpEfficiencyAndContentionFollowTheirDefinitions) {
  std::vector<RunSummary> summaries = Comparison();
  AddComparative(&summaries);
  EXPECT_NEAR(summaries[0].speed_up_over_single(), 80.0 / 60.0, 1e-12);
  EXPECT_NEAR(summaries[0].efficiency(), 0.5, 1e-12);
  // p50 16 against 10, less exposed 3 and gate 1; solo's update of 0.5 is no part of a ps worker's
  // step.
  EXPECT_NEAR(summaries[0].contention_ms(), 16 - 10 - 3 - 1 + 0.5, 1e-12);
  EXPECT_NEAR(FigureByTag("exposed_and_contention_ms").value(summaries[0]).value(),
              16 - 10 - 1 + 0.5, 1e-12);
  for (const size_t unlike : {0, 2}) {
    std::vector<RunSummary> with_slow_rank = Comparison();
    with_slow_rank[unlike].set_ranks_differ(true);
    AddComparative(&with_slow_rank);
    EXPECT_FALSE(with_slow_rank[0].has_contention_ms()) << unlike;
    EXPECT_TRUE(with_slow_rank[0].has_efficiency());
  }
  EXPECT_DOUBLE_EQ(summaries[1].speed_up_over_single(), 1);
  EXPECT_FALSE(summaries[1].has_efficiency());
  EXPECT_FALSE(summaries[1].has_contention_ms());
  EXPECT_DOUBLE_EQ(summaries[2].efficiency(), 1);
  EXPECT_FALSE(summaries[2].has_contention_ms());
}

// Rank 1 takes four times as long. Dealt work goes at its pace; claimed work adds up the ranks' own
// rates, and a rank that has only its warm-up counts with that.
TEST(Summarize, ClaimedWorkHasTheSumOfTheWorkersOwnRatesAndItsTailApart) {
  RunRecord record = Record("async");
  AddWorker(0, 0.060, {30, 20, 20, 20}, &record)->set_training_seconds(0.09);
  WorkerReport* slow = AddWorker(1, 0, {80}, &record);
  slow->set_timed_steps(0);
  slow->set_training_seconds(0.16);
  const RunSummary claimed = Summarize(record);
  EXPECT_EQ(claimed.work(), "claimed");
  EXPECT_NEAR(claimed.samples_per_second(), 32 * (1 / 0.020 + 1 / 0.080), 1e-3);
  EXPECT_DOUBLE_EQ(claimed.samples_per_second(), claimed.own_samples_per_second());
  EXPECT_NEAR(claimed.tail_seconds(), 0.07, 1e-12);
  record.mutable_spec()->mutable_strategy()->set_work(StrategySpec::DEALT);
  const RunSummary dealt = Summarize(record);
  EXPECT_EQ(dealt.work(), "dealt");
  EXPECT_DOUBLE_EQ(dealt.samples_per_second(), 64 * 3 / 0.060);
  EXPECT_DOUBLE_EQ(dealt.own_samples_per_second(), claimed.own_samples_per_second());
  EXPECT_FALSE(dealt.has_tail_seconds());
}

TEST(AddComparative, TheCeilingOfClaimedWorkIsTheSumOfSolosOwnRates) {
  RunRecord solo = Record("solo");
  AddWorker(0, 0.060, {20, 20, 20, 20}, &solo);
  AddWorker(1, 0.240, {80, 80, 80, 80}, &solo);
  RunRecord async = Record("async"), ring = Record("ring");
  AddWorker(0, 0.060, {20, 20, 20, 20}, &async);
  AddWorker(1, 0.240, {80, 80, 80, 80}, &async);
  AddWorker(0, 0.240, {80, 80, 80, 80}, &ring);
  AddWorker(1, 0.240, {80, 80, 80, 80}, &ring);
  std::vector<RunSummary> summaries = {Summarize(solo), Summarize(async), Summarize(ring)};
  AddComparative(&summaries);
  for (const RunSummary& summary : summaries) EXPECT_NEAR(summary.efficiency(), 1, 1e-12);
  EXPECT_NEAR(summaries[0].samples_per_second(), 64 / 0.080, 1e-9);
  EXPECT_NEAR(summaries[1].samples_per_second(), 32 / 0.020 + 32 / 0.080, 1e-9);
}

TEST(AddComparative, WithoutItsBaseAFigureIsAbsent) {
  std::vector<RunSummary> summaries = Comparison();
  summaries.resize(1);
  AddComparative(&summaries);
  EXPECT_FALSE(summaries[0].has_speed_up_over_single());
  EXPECT_FALSE(summaries[0].has_efficiency());
  EXPECT_FALSE(summaries[0].has_contention_ms());
  EXPECT_FALSE(FigureByTag("exposed_and_contention_ms").value(summaries[0]).has_value());
  summaries = Comparison();
  summaries[2].clear_samples_per_second();  // solo failed
  summaries[1].set_global_batch(128);       // single of another cell
  AddComparative(&summaries);
  EXPECT_FALSE(summaries[0].has_speed_up_over_single());
  EXPECT_FALSE(summaries[0].has_efficiency());
}

TEST(Summarize, ARunThatWasStartedAgainHasTheRateOfAllItsWorkers) {
  RunRecord record = PsRecord();
  const double whole = Summarize(record).samples_per_second();
  Loss* loss = record.add_losses();
  loss->add_nodes("worker/1");
  EXPECT_LT(Summarize(record).samples_per_second(), whole) << "the others went on";
  loss->set_restarted(true);
  EXPECT_EQ(Summarize(record).samples_per_second(), whole);
}

}  // namespace
}  // namespace ringmaster
