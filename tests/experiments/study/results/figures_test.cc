#include "experiments/study/results/figures.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "experiments/study/results/summary.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr int kSteps = 4, kTimedSteps = 3;
constexpr double kTimedSamples = 64 * kTimedSteps, kAllSamples = 64 * kSteps;

RunSpec SpecOf(const std::string& arm) {
  RunSpec base;
  base.mutable_training()->set_steps(kSteps);
  base.mutable_training()->set_warmup_steps(kSteps - kTimedSteps);
  return *Resolve(*MakeArm(arm, base), {"/data", 0});
}

// A run of `arm` whose two workers and one server, a process each, have measured everything that
// there is.
RunRecord FullRecord(const std::string& arm) {
  RunRecord record;
  *record.mutable_spec() = SpecOf(arm);
  record.set_status("ok");
  record.mutable_machine()->set_cores(2);
  record.mutable_conditions()->set_seconds(3);
  record.mutable_prediction()->set_step_ms(9);
  for (int rank = 0; rank < 2; ++rank) {
    ProcessReport* process = record.add_reports();
    process->mutable_costs()->set_pss_bytes(1000 + rank);
    process->mutable_costs()->set_peak_rss_bytes(3000 + rank);
    WorkerReport* worker = process->add_workers();
    worker->set_rank(rank);
    worker->set_timed_steps(kTimedSteps);
    worker->set_timed_seconds(0.03);
    worker->set_process_cpu_seconds(0.192 * (rank + 1));
    worker->set_skew_ms(0.5 * rank);
    worker->set_state_bytes(64 * (rank + 1));
    worker->set_consensus_distance(0.25 * rank);
    worker->set_training_seconds(0.04 + 0.01 * rank);
    worker->mutable_halves()->set_elements(100);
    for (int step = 0; step < kSteps; ++step)
      worker->add_step_ms(step == 0 ? 500.0f : static_cast<float>(10 * step + rank));
    for (const char* phase :
         {"forward", "backward", "gate", "exposed", "update", "encode", "exchange", "reduce"}) {
      (*worker->mutable_phase_ms())[phase] = 1 + rank;
    }
    worker->set_payload_bytes_up(4000);
    worker->set_final_loss(0.5);
    Evaluation* evaluation = worker->add_evaluations();
    evaluation->set_seconds(2);
    evaluation->set_test_accuracy(0.99);
    evaluation->set_test_loss(0.5 + rank);
  }
  ProcessReport* process = record.add_reports();
  process->mutable_costs()->set_cpu_seconds(0.256);
  process->mutable_costs()->set_pss_bytes(500);
  process->mutable_costs()->set_peak_rss_bytes(600);
  process->add_servers()->add_staleness_histogram(6);
  process->mutable_servers(0)->add_staleness_histogram(2);
  for (const char* node : {"worker/0", "worker/1", "server/0"}) {
    MemoryNeed* need = record.add_memory_needs();
    need->add_nodes(node);
    need->set_program_bytes(100);
    need->set_weights_bytes(record.memory_needs_size());
  }
  return record;
}

// What no arm has at once: servers, ranks that wait for the last, and work that is claimed.
RunRecord RecordWithEverything() {
  RunRecord record = FullRecord("ps");
  record.mutable_spec()->mutable_strategy()->set_work(StrategySpec::CLAIMED);
  return record;
}

void ForEachWorker(RunRecord* record, const std::function<void(WorkerReport*)>& change) {
  for (ProcessReport& process : *record->mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers()) change(&worker);
  }
}

// The last record's summary beside those before it.
RunSummary SummaryOfLast(const std::vector<RunRecord>& records) {
  std::vector<RunSummary> summaries;
  for (const RunRecord& record : records) summaries.push_back(Summarize(record));
  AddComparative(&summaries);
  return summaries.back();
}

std::optional<double> ValueOf(const char* tag, const RunRecord& record) {
  return FigureByTag(tag).value(Summarize(record));
}

std::map<std::string, double> NodeValues(const RunRecord& record, const std::string& node) {
  const RunSummary summary = Summarize(record);
  for (const NodeFigures& figures : summary.nodes()) {
    if (figures.node() == node) return {figures.figures().begin(), figures.figures().end()};
  }
  ADD_FAILURE() << "no node " << node;
  return {};
}

TEST(Figures, NoTwoHaveOneNameOrOnePlace) {
  std::set<std::string> tags, ids, titles;
  std::set<std::pair<FigureGroup, int>> places;
  for (const Figure& figure : Figures()) {
    EXPECT_TRUE(tags.insert(figure.tag).second) << figure.tag;
    EXPECT_NE(std::string(figure.definition), "") << figure.tag;
    EXPECT_NE(std::string(figure.over), "") << figure.tag;
    if (figure.table.has_value()) {
      EXPECT_TRUE(places.insert({figure.table->group, figure.table->place}).second) << figure.tag;
    }
    if (figure.report.has_value()) {
      EXPECT_TRUE(ids.insert(figure.report->id).second) << figure.tag;
    }
    if (figure.sweep.has_value()) {
      EXPECT_TRUE(titles.insert(figure.sweep->format.title).second) << figure.tag;
    }
  }
}

TEST(Figures, OfARunWithEverythingEachIsDefined) {
  const RunSummary summary =
      SummaryOfLast({FullRecord("single"), FullRecord("solo"), RecordWithEverything()});
  for (const Figure& figure : Figures())
    EXPECT_TRUE(figure.value(summary).has_value()) << figure.tag;
}

// What a figure says that it needs is exactly that without which it is absent.
TEST(Figures, WithoutWhatTheyNeedTheyAreAbsentAndOthersAreNot) {
  const std::vector<RunRecord> all = {FullRecord("single"), FullRecord("solo"),
                                      RecordWithEverything()};
  const auto without = [&](const std::function<void(RunRecord*)>& take_away) {
    std::vector<RunRecord> records = all;
    take_away(&records.back());
    return SummaryOfLast(records);
  };
  const std::map<Need, RunSummary> lacking = {
      {Need::kServers, without([](RunRecord* record) {
         record->mutable_reports()->RemoveLast();
         record->mutable_memory_needs()->RemoveLast();
       })},
      {Need::kMeter, without([](RunRecord* record) {
         ForEachWorker(record, [](WorkerReport* worker) { worker->set_engine("another"); });
       })},
      {Need::kLearning, without([](RunRecord* record) {
         record->mutable_spec()->mutable_training()->mutable_emulated_compute()->set_milliseconds(
             1);
       })},
      {Need::kReached, without([](RunRecord* record) {
         record->mutable_reports(0)->mutable_workers(0)->mutable_evaluations(0)->set_test_accuracy(
             0.5);
       })},
      {Need::kSingle, SummaryOfLast({all[1], all[2]})},
      {Need::kSolo, SummaryOfLast({all[0], all[2]})},
      {Need::kClaims, without([](RunRecord* record) {
         record->mutable_spec()->mutable_strategy()->set_work(StrategySpec::DEALT);
       })},
      {Need::kHalves, without([](RunRecord* record) {
         ForEachWorker(record, [](WorkerReport* worker) { worker->clear_halves(); });
       })},
      {Need::kAroundModel, without([](RunRecord* record) {
         ForEachWorker(record, [](WorkerReport* worker) { worker->clear_consensus_distance(); });
       })},
      {Need::kLastRank, without([](RunRecord* record) {
         record->mutable_reports(1)->mutable_workers(0)->clear_skew_ms();
       })},
      {Need::kState, without([](RunRecord* record) {
         record->mutable_reports(1)->mutable_workers(0)->clear_state_bytes();
       })},
      {Need::kPlan, without([](RunRecord* record) { record->clear_memory_needs(); })},
      {Need::kPrediction, without([](RunRecord* record) { record->clear_prediction(); })},
      {Need::kCosts, without([](RunRecord* record) {
         for (ProcessReport& process : *record->mutable_reports()) process.clear_costs();
         ForEachWorker(record, [](WorkerReport* worker) { worker->clear_process_cpu_seconds(); });
       })},
  };
  for (const auto& [need, summary] : lacking) {
    for (const Figure& figure : Figures()) {
      bool needs = false;
      for (const Need one : figure.needs) needs = needs || one == need;
      EXPECT_EQ(figure.value(summary).has_value(), !needs)
          << figure.tag << " without " << NeedText(need);
    }
  }
}

TEST(Figures, SoloLacksMoreThanExchangeAlone) {
  const std::vector<RunRecord> all = {FullRecord("single"), FullRecord("solo")};
  const RunSummary alone = SummaryOfLast({all[0], all[1]});
  for (const Figure& figure : Figures()) {
    for (const Need need : figure.needs) {
      if (need == Need::kExchange || need == Need::kLearning) {
        EXPECT_FALSE(figure.value(alone).has_value()) << figure.tag;
      }
    }
  }
}

TEST(Figures, AFailedRunHasNone) {
  RunRecord record = FullRecord("ps");
  record.set_status("UNAVAILABLE: gone");
  const RunSummary summary = Summarize(record);
  const std::set<std::string> settings = {"predicted_step_ms", "processes_per_core", "run_seconds"};
  for (const Figure& figure : Figures()) {
    if (settings.count(figure.tag) == 0) {
      EXPECT_FALSE(figure.value(summary).has_value()) << figure.tag;
    }
  }
  EXPECT_EQ(summary.nodes_size(), 0);
}

TEST(Figures, ExposedWaitingIsSkewAndTransferByRankAndOnTheMean) {
  const RunRecord record = FullRecord("ps");
  EXPECT_DOUBLE_EQ(*ValueOf("exposed_comm_ms", record), 1.5);
  EXPECT_DOUBLE_EQ(*ValueOf("skew_ms", record), 0.25);
  EXPECT_DOUBLE_EQ(*ValueOf("transfer_ms", record), 1.25);
  EXPECT_DOUBLE_EQ(NodeValues(record, "worker/1")["skew_ms"], 0.5);
  EXPECT_DOUBLE_EQ(NodeValues(record, "worker/1")["transfer_ms"], 1.5);
  EXPECT_EQ(NodeValues(record, "server/0").count("skew_ms"), 0u);
}

TEST(Figures, ComputingTimeIsOfEverySampleOverTheStepsThatItWasMeasuredIn) {
  const RunRecord record = FullRecord("ps");
  const double workers = 1000 * (0.192 + 0.384) / kTimedSamples,
               server = 1000 * 0.256 / kAllSamples;
  EXPECT_DOUBLE_EQ(*ValueOf("worker_cpu_ms_per_sample", record), workers);
  EXPECT_DOUBLE_EQ(*ValueOf("server_cpu_ms_per_sample", record), server);
  EXPECT_DOUBLE_EQ(*ValueOf("cpu_ms_per_sample", record), workers + server);
  EXPECT_DOUBLE_EQ(NodeValues(record, "worker/1")["cpu_ms_per_sample"],
                   1000 * 0.384 / kTimedSamples);
  EXPECT_DOUBLE_EQ(NodeValues(record, "server/0")["cpu_ms_per_sample"], server);
}

TEST(Figures, MemoryIsSummedUpForTheRunAndTheLargestOfARole) {
  const RunRecord record = FullRecord("ps");
  EXPECT_EQ(*ValueOf("pss_bytes", record), 1000 + 1001 + 500);
  EXPECT_EQ(*ValueOf("worker_pss_bytes", record), 1001);
  EXPECT_EQ(*ValueOf("server_pss_bytes", record), 500);
  EXPECT_EQ(*ValueOf("peak_rss_bytes", record), 3001);
  EXPECT_EQ(NodeValues(record, "worker/0")["pss_bytes"], 1000);
  EXPECT_EQ(*ValueOf("planned_bytes", record), 101 + 102 + 103);
  EXPECT_EQ(*ValueOf("worker_planned_bytes", record), 102);
  EXPECT_EQ(*ValueOf("server_planned_bytes", record), 103);
}

TEST(Figures, TestLossIsThatOfRankZerosLastEvaluationAndNoneWhereNothingIsLearned) {
  RunRecord record = FullRecord("ring");
  EXPECT_EQ(*ValueOf("test_loss", record), 0.5);
  record.mutable_reports(0)->mutable_workers(0)->add_evaluations()->set_test_loss(0.25);
  EXPECT_EQ(*ValueOf("test_loss", record), 0.25);
  EXPECT_FALSE(Summarize(FullRecord("solo")).figures().contains("test_loss"));
}

TEST(Figures, StateIsThatOfTheWorkerThatKeepsMost) {
  const RunRecord record = FullRecord("ring");
  EXPECT_EQ(*ValueOf("state_bytes", record), 128);
  EXPECT_EQ(NodeValues(record, "worker/0")["state_bytes"], 64);
}

TEST(Figures, AProcessOfSeveralNodesCountsOnceInTheRunAndWhollyForEachOfThemAndSaysSo) {
  RunRecord record = FullRecord("ps");
  *record.mutable_reports(0)->add_servers() = record.reports(2).servers(0);
  record.mutable_reports()->RemoveLast();
  const RunSummary summary = Summarize(record);
  EXPECT_DOUBLE_EQ(*ValueOf("cpu_ms_per_sample", record), 1000 * (0.192 + 0.384) / kTimedSamples);
  EXPECT_DOUBLE_EQ(*ValueOf("server_cpu_ms_per_sample", record), 1000 * 0.192 / kTimedSamples);
  EXPECT_EQ(*ValueOf("pss_bytes", record), 1000 + 1001);
  EXPECT_EQ(*ValueOf("server_pss_bytes", record), 1000);
  ASSERT_EQ(summary.nodes_size(), 3);
  EXPECT_TRUE(summary.nodes(0).shared());
  EXPECT_FALSE(summary.nodes(1).shared());
  EXPECT_EQ(summary.nodes(2).node(), "server/0");
  EXPECT_TRUE(summary.nodes(2).shared());
  EXPECT_EQ(summary.nodes(2).process(), 0);
}

TEST(Figures, WhereOneProcessWasNotMeasuredTheSumIsAbsent) {
  RunRecord record = FullRecord("ps");
  record.mutable_reports(2)->clear_costs();
  EXPECT_FALSE(ValueOf("cpu_ms_per_sample", record).has_value());
  EXPECT_FALSE(ValueOf("pss_bytes", record).has_value());
  EXPECT_TRUE(ValueOf("worker_pss_bytes", record).has_value());
  EXPECT_EQ(NodeValues(record, "server/0").count("pss_bytes"), 0u);
}

TEST(Figures, OfANodeAreItsOwnInTheOrderOfRanks) {
  RunRecord record = FullRecord("ps");
  record.mutable_reports()->SwapElements(0, 1);  // reports come in any order
  const RunSummary summary = Summarize(record);
  ASSERT_EQ(summary.nodes_size(), 3);
  EXPECT_EQ(summary.nodes(0).node(), "worker/0");
  EXPECT_EQ(summary.nodes(0).process(), 1);
  auto first = NodeValues(record, "worker/0"), second = NodeValues(record, "worker/1"),
       server = NodeValues(record, "server/0");
  EXPECT_EQ(first["step_ms_p50"], 20);
  EXPECT_EQ(second["step_ms_p50"], 21);
  EXPECT_EQ(first["exposed_comm_ms"], 1);
  EXPECT_EQ(second["exposed_comm_ms"], 2);
  EXPECT_EQ(server["staleness_mean"], 0.25);
  EXPECT_EQ(server["staleness_max"], 1);
  EXPECT_EQ(server.count("step_ms_p50"), 0u);
  EXPECT_EQ(first.count("staleness_max"), 0u);
  EXPECT_EQ(NodeValues(FullRecord("solo"), "worker/0").count("exposed_comm_ms"), 0u)
      << "what is not defined for the run";
}

}  // namespace
}  // namespace ringmaster
