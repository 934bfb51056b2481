#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/tables.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/experiments/study/report/runs.h"

namespace ringmaster {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Parsed = nlohmann::json;

void AddFault(const std::string& text, double seconds, RunRecord* record) {
  InjectedFault* fault = record->add_faults();
  fault->set_fault(text);
  fault->set_seconds(seconds);
}

// Of 60 steps of 10 ms, those from 30 on.
RunRecord SlowedRun(float later_ms) {
  RunRecord record = RunOf(SpecOf("ring", 2), 10);
  for (ProcessReport& process : *record.mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers())
      for (int step = 30; step < kSteps; ++step) worker.set_step_ms(step, later_ms);
  }
  AddFault("worker:1@step=30 slow 4", 0.4, &record);
  return record;
}

TEST(FaultChart, TheRateFallsWhenTheWorkerIsSlowed) {
  const std::vector<RunRecord> records = {RunOf(SpecOf("ps", 2), 10), SlowedRun(40)};
  const auto panels = FaultRows(GroupRecords(records)).panels;
  ASSERT_EQ(panels.size(), 1u);
  const Parsed rows = Parsed::parse(panels[0].rows.Dump());
  ASSERT_FALSE(rows.empty());
  const double batch = 2.0 * records[1].spec().training().batch_per_worker();
  // A stretch is 25 ms and has two or three steps of 10 ms, one or none of 40 ms; means are exact.
  double before = 0, after = 0;
  int befores = 0, afters = 0;
  for (const Parsed& row : rows) {
    EXPECT_EQ(row["arm"], "ring");  // nothing was done to the other
    EXPECT_EQ(row["fault"], "worker:1@step=30 slow 4");
    const bool is_before = row["seconds"] < 0;
    (is_before ? before : after) += row["samples_per_second"].get<double>();
    ++(is_before ? befores : afters);
  }
  EXPECT_NEAR(before / befores, batch / 0.010, 1);
  EXPECT_NEAR(after / afters, batch / 0.040, 1);
}

// Steps 20 to 30 were made twice; the rate is that of steps which stay.
TEST(FaultChart, ARunThatWasStartedAgainGetsNoFurtherFromItsCheckpointToItsNewBeginning) {
  RunRecord record = RunOf(SpecOf("ps", 2), 10);
  AddFault("server:0@step=30 kill", 0.3, &record);
  Loss* loss = record.add_losses();
  loss->add_nodes("server/0");
  loss->set_restarted(true);
  loss->set_step(30);
  loss->set_resumed_step(20);
  loss->set_seconds(0.35);
  loss->set_detection_seconds(0.05);
  loss->set_recovery_seconds(1);
  const std::vector<RunRecord> records = {record};
  const auto panels = FaultRows(GroupRecords(records)).panels;
  ASSERT_EQ(panels.size(), 1u);
  const double batch = 2.0 * record.spec().training().batch_per_worker();
  double samples = 0, width = 0;
  for (const Parsed& row : Parsed::parse(panels[0].rows.Dump())) {
    const double seconds = row["seconds"], rate = row["samples_per_second"];
    // The fault came 0.1 s behind the checkpoint, and all began anew 1.05 s later.
    if (seconds > -0.08 && seconds < 1.03) {
      EXPECT_EQ(rate, 0) << seconds;
    }
    samples += rate;
    width = 1.75 / 60;
  }
  EXPECT_NEAR(samples * width, kSteps * batch, batch / 10);
}

TEST(FaultChart, RunsWithoutFaultsHaveNone) {
  const ChartRows chart = FaultRows(GroupRecords(Runs(2, {1})));
  EXPECT_THAT(chart.panels, IsEmpty());
  EXPECT_THAT(chart.missing, HasSubstr("--fault"));
}

std::vector<std::string> TextsOf(const ReportTable& table, const TableRow& row) {
  std::vector<std::string> texts;
  for (size_t i = 3; i < row.cells.size(); ++i)
    texts.push_back(CellText(table.columns[i], row.cells[i]));
  return texts;
}

TEST(LossesTable, SaysWhoWasLostAndWhatItCost) {
  RunRecord went_on = RunOf(SpecOf("ring", 4), 10);
  AddFault("worker:1@step=30 kill", 0.4, &went_on);
  Loss* loss = went_on.add_losses();
  loss->add_nodes("worker/1");
  loss->set_how("signal 9 (Killed)");
  loss->set_step(30);
  loss->set_detection_seconds(0.05);
  loss->set_recovery_seconds(0.3);
  loss->set_undone_steps(1);
  loss->set_loss_before(0.5);
  loss->set_loss_after(0.625);
  RunRecord ended = FailedRun(SpecOf("ps", 4), "UNAVAILABLE: worker/1");
  AddFault("worker:1@step=30 kill", 0.4, &ended);
  const std::vector<RunRecord> records = {went_on, ended, RunOf(SpecOf("solo", 4), 10)};
  const auto tables = MakeTables(GroupRecords(records));
  const auto table = std::find_if(tables.begin(), tables.end(),
                                  [](const ReportTable& each) { return each.id == "losses"; });
  ASSERT_NE(table, tables.end());
  ASSERT_EQ(table->rows.size(), 2u);
  std::vector<std::vector<std::string>> rows;
  for (const TableRow& row : table->rows) rows.push_back(TextsOf(*table, row));
  EXPECT_THAT(rows, Contains(ElementsAre("worker:1@step=30 kill", "worker/1: signal 9 (Killed)",
                                         "30", "50", "300", "1", "0", "0", "0.5000", "0.6250")));
  EXPECT_THAT(rows, Contains(ElementsAre("worker:1@step=30 kill", "the run ended", "–", "–", "–",
                                         "–", "–", "–", "–", "–")));
}

}  // namespace
}  // namespace ringmaster
