#include "experiments/study/sweep/sweep_plan.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/config/resolve.h"
#include "experiments/study/sweep/run_sweep.h"
#include "experiments/study/sweep/sweep_table.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<RunSpec> ResolveOnly(const RunSpec& spec) { return Resolve(spec, ResolveContext{}); }

// Inputs of runs that read a data set with that fingerprint.
RunInputs Reading(const std::string& fingerprint) {
  RunInputs inputs;
  inputs.mutable_data()->set_fingerprint(fingerprint);
  return inputs;
}

absl::StatusOr<SweepPlan> PlanOf(const std::string& text,
                                 const std::string& fingerprint = "aaaaaaaaaaaa") {
  SweepSpec sweep;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "base { training { steps: 10 } } " + text, &sweep))
      << text;
  return PlanSweep(sweep, "sweep", ResolveOnly,
                   [&](const RunSpec&) { return Reading(fingerprint); });
}

std::vector<std::string> Texts(const SweepPlan& plan) {
  std::vector<std::string> texts;
  for (const PlannedCell& cell : plan.cells) texts.push_back(SettingsText(cell.settings));
  return texts;
}

TEST(SweepPlan, AddsTheSoloArmOfEveryGroupOnce) {
  const auto plan = PlanOf(R"pb(
    axes { field: "training.workers" values: "2" values: "4" }
    axes { field: "arm" values: "ps" values: "ring" })pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(Texts(*plan),
              ElementsAre("training.workers=2 arm=ps", "training.workers=2 arm=ring",
                          "training.workers=4 arm=ps", "training.workers=4 arm=ring",
                          "arm=solo training.workers=2", "arm=solo training.workers=4"));
  EXPECT_EQ(plan->cells[0].solo, 4u);
  EXPECT_EQ(plan->cells[3].solo, 5u);
  EXPECT_EQ(plan->cells[4].solo, 4u);
  EXPECT_TRUE(plan->cells[5].added);
}

TEST(SweepPlan, TakesTheSoloArmThatIsThere) {
  const auto plan = PlanOf(R"pb(axes { field: "arm" values: "solo" values: "ring" })pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->cells.size(), 2u);
  EXPECT_EQ(plan->cells[1].solo, 0u);
  EXPECT_FALSE(plan->cells[0].added);
}

TEST(SweepPlan, RunsCellsThatAreTheSameOnce) {
  const auto plan = PlanOf(R"pb(
    axes { field: "strategy.parameter_server.servers" values: "1" values: "2" }
    axes { field: "arm" values: "ps" values: "ring" })pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->cells.size(), 3u + 1u);
  ASSERT_EQ(plan->same.size(), 1u);
  EXPECT_EQ(SettingsText(plan->same[0].settings), "strategy.parameter_server.servers=2 arm=ring");
  EXPECT_EQ(plan->same[0].as, 1u);
}

TEST(SweepPlan, DrawsAnOrderForEachTrialAndAlwaysTheSame) {
  const std::string text = R"pb(axes {
                                  field: "training.batch_per_worker"
                                  range { from: 1 to: 12 step: 1 }
                                }
                                trials: 2)pb";
  const auto plan = PlanOf(text), again = PlanOf(text), other = PlanOf(text + " order_seed: 2");
  ASSERT_TRUE(plan.ok() && again.ok() && other.ok());
  const auto cells_of = [](const SweepPlan& from, int32_t trial) {
    std::vector<size_t> cells;
    for (const PlannedRun& run : from.order) {
      if (run.trial == trial) cells.push_back(run.cell);
    }
    return cells;
  };
  EXPECT_EQ(cells_of(*plan, 0), cells_of(*again, 0));
  EXPECT_NE(cells_of(*plan, 0), cells_of(*other, 0));
  EXPECT_NE(cells_of(*plan, 0), cells_of(*plan, 1));
  for (int32_t trial = 0; trial < 2; ++trial) {
    const std::vector<size_t> cells = cells_of(*plan, trial);
    EXPECT_EQ(std::set<size_t>(cells.begin(), cells.end()).size(), plan->cells.size());
  }
  // All of a trial come before any of the next: a sweep that is stopped has whole trials.
  EXPECT_TRUE(
      std::is_sorted(plan->order.begin(), plan->order.end(),
                     [](const PlannedRun& a, const PlannedRun& b) { return a.trial < b.trial; }));
}

TEST(SweepPlan, GivesEveryTrialASeedAndTheCellOneIdentity) {
  const auto plan = PlanOf(R"pb(axes { field: "arm" values: "ring" }
                                seeds: 7
                                seeds: 9)pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(SpecOfRun(*plan, {0, 0}).training().seed(), 7u);
  EXPECT_EQ(SpecOfRun(*plan, {0, 1}).training().seed(), 9u);
  const auto other = PlanOf(R"pb(axes { field: "arm" values: "ring" }
                                 trials: 1)pb");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(plan->cells[0].id, other->cells[0].id);
  EXPECT_NE(plan->cells[0].id, plan->cells[1].id);
}

TEST(SweepPlan, ACellOfOtherFilesIsAnotherCellAndOneThatReadsNoneIsNot) {
  const auto plan = PlanOf("", "aaaaaaaaaaaa"), replaced = PlanOf("", "bbbbbbbbbbbb");
  ASSERT_TRUE(plan.ok() && replaced.ok());
  EXPECT_NE(plan->cells[0].id, replaced->cells[0].id);
  EXPECT_EQ(plan->cells[0].id, PlanOf("", "aaaaaaaaaaaa")->cells[0].id);
  RunSpec spec = plan->cells[0].spec;
  RunInputs weights;
  weights.set_init_weights("cccccccccccc");
  EXPECT_NE(CellId(spec, weights, ""), CellId(spec, RunInputs(), ""));
  spec.mutable_data()->set_name("synthetic");
  EXPECT_EQ(CellId(spec, Reading("aaaaaaaaaaaa"), ""), CellId(spec, RunInputs(), ""));
  EXPECT_NE(CellId(spec, weights, ""), CellId(spec, RunInputs(), ""));
}

TEST(SweepPlan, NamesTheCellWhoseFilesCannotBeRead) {
  SweepSpec sweep;
  sweep.mutable_base()->mutable_training()->set_steps(10);
  const auto plan =
      PlanSweep(sweep, "sweep", ResolveOnly, [](const RunSpec&) -> absl::StatusOr<RunInputs> {
        return absl::InvalidArgumentError("a damaged file");
      });
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("cell (the base) cannot be run"));
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("a damaged file"));
}

TEST(SweepPlan, RefusesTrialsAndSeedsThatDoNotFit) {
  EXPECT_THAT(std::string(PlanOf("trials: 0").status().message()), HasSubstr("expected 1 to 1000"));
  EXPECT_THAT(std::string(PlanOf("trials: 3 seeds: 1").status().message()),
              HasSubstr("there are 1 for 3 trials"));
}

TEST(SweepPlan, NamesTheCellThatCannotBeRun) {
  SweepSpec sweep;
  AxisSpec* axis = sweep.add_axes();
  axis->set_field("arm");
  axis->add_values("ring");
  const auto nothing = [](const RunSpec&) -> absl::StatusOr<RunSpec> {
    return absl::InvalidArgumentError("no such thing");
  };
  const auto plan = PlanSweep(sweep, "sweep", nothing, [](const RunSpec&) { return RunInputs(); });
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("cell arm=ring cannot be run"));
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("no such thing"));
}

TEST(SweepPlan, CellsWithUnlikeTunedValuesHaveOneCeiling) {
  SweepSpec sweep;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(base { training { steps: 10 } }
           axes { field: "arm" values: "ring" values: "ps" }
           tuning {
             fields { field: "optimizer.learning_rate" values: "0.1" values: "0.4" }
             budget_samples: 640
           })pb",
      &sweep));
  absl::StatusOr<SweepCells> cells = ExpandCells(sweep);
  ASSERT_TRUE(cells.ok()) << cells.status();
  // As tuning leaves them.
  float rate = 0.1f;
  for (SweepCell& cell : cells->cells) {
    *cell.spec.mutable_tuning() = sweep.tuning();
    cell.spec.mutable_optimizer()->set_learning_rate(rate);
    TuningTrial& trial = cell.tuning.emplace_back();
    trial.set_chosen(true);
    trial.add_values()->set_value(rate == 0.1f ? "0.1" : "0.4");
    rate = 0.4f;
  }
  const auto plan =
      PlanSweep(sweep, *cells, "sweep", ResolveOnly, [](const RunSpec&) { return RunInputs(); });
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_THAT(Texts(*plan), ElementsAre("arm=ring", "arm=ps", "arm=solo"));
  EXPECT_EQ(plan->cells[0].solo, 2u);
  EXPECT_EQ(plan->cells[1].solo, 2u);
  EXPECT_FLOAT_EQ(plan->cells[1].spec.optimizer().learning_rate(), 0.4f);
  EXPECT_EQ(plan->cells[1].tuning.at(0).values(0).value(), "0.4");
  EXPECT_TRUE(plan->cells[2].tuning.empty());
}

class SweepRuns : public ::testing::Test {
 protected:
  void SetUp() override {
    auto plan = PlanOf(R"pb(axes { field: "arm" values: "ring" values: "solo" }
                            trials: 2)pb");
    ASSERT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
  }
  SweepRun Run(size_t cell, int32_t trial, const std::string& status, double seconds) const {
    return {plan_.cells[cell].id, trial, status, seconds};
  }
  SweepPlan plan_;
};

TEST_F(SweepRuns, WhatIsDoneIsNotRepeatedAndWhatFailedOrWasStoppedAsAsked) {
  std::vector<SweepRun> runs = {Run(0, 0, "ok", 10), Run(1, 1, "OUT_OF_RANGE: nan", 1),
                                Run(1, 0, "UNAVAILABLE: gone", 1)};
  runs.back().stopped = true;
  const struct {
    Retry retry;
    size_t left;
  } kCases[] = {{Retry::kNone, 1}, {Retry::kStopped, 2}, {Retry::kFailed, 2}, {Retry::kAll, 3}};
  for (const auto& [retry, left] : kCases) {
    EXPECT_EQ(RunsLeft(plan_, {}, retry).size(), 4u);
    EXPECT_EQ(RunsLeft(plan_, runs, retry).size(), left);
    for (const PlannedRun& run : RunsLeft(plan_, runs, retry))
      EXPECT_FALSE(run.cell == 0 && run.trial == 0);
    const SweepState state = StateOf(plan_, runs, retry);
    EXPECT_EQ(state.done, 1u);
    EXPECT_EQ(state.failed, 1u);
    EXPECT_EQ(state.stopped, 1u);
  }
}

TEST_F(SweepRuns, SharesArePartsAndEachShardHelpsFromTheEnd) {
  auto plan = PlanOf(R"pb(axes { field: "arm" values: "ring" values: "solo" }
                          trials: 5)pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto key = [](const PlannedRun& run) { return std::make_pair(run.cell, run.trial); };
  std::multiset<std::pair<size_t, int32_t>> all;
  for (size_t index = 0; index < 3; ++index) {
    const std::vector<PlannedRun> own = RunsOfShard(*plan, {index, 3, true});
    EXPECT_EQ(own.size(), index == 0 ? 4u : 3u);
    for (const PlannedRun& run : own) all.insert(key(run));
    const std::vector<PlannedRun> whole = RunsOfShard(*plan, {index, 3, false});
    ASSERT_EQ(whole.size(), 10u);
    for (size_t i = 0; i < own.size(); ++i) EXPECT_EQ(key(whole[i]), key(own[i]));
    EXPECT_EQ(key(own[0]), key(plan->order[index]));
    EXPECT_EQ(key(whole[own.size()]), key(plan->order[index == 0 ? 8 : 9]));
  }
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 10u) << "shares overlap";
}

TEST_F(SweepRuns, ARetriedRunThatSucceedsCountsAsDone) {
  const std::vector<SweepRun> runs = {Run(0, 0, "UNAVAILABLE: gone", 1), Run(0, 0, "ok", 10),
                                      Run(0, 0, "ABORTED: x", 1)};
  const SweepState state = StateOf(plan_, runs, Retry::kAll);
  EXPECT_EQ(state.done, 1u);
  EXPECT_EQ(state.failed, 0u);
}

TEST_F(SweepRuns, TimeLeftGoesByTheCellsOwnRunsWhereThereAreSome) {
  // ring took 10 s; solo, of which nothing is known, counts as the mean.
  const SweepState state = StateOf(plan_, {Run(0, 0, "ok", 10)}, Retry::kNone);
  EXPECT_DOUBLE_EQ(state.seconds_left, 10 + 2 * 10);
  const SweepState later = StateOf(plan_, {Run(0, 0, "ok", 10), Run(1, 0, "ok", 4)}, Retry::kNone);
  EXPECT_DOUBLE_EQ(later.seconds_left, 10 + 4);
  EXPECT_DOUBLE_EQ(StateOf(plan_, {}, Retry::kNone).seconds_left, 0);
}

RunRecord Record(const SweepPlan& plan, size_t cell, int32_t trial, double samples_per_second) {
  RunRecord record;
  record.set_status("ok");
  record.mutable_sweep()->set_cell(plan.cells[cell].id);
  record.mutable_sweep()->set_trial(trial);
  record.mutable_sweep()->set_settings(SettingsJson(plan.cells[cell].settings));
  *record.mutable_spec() = plan.cells[cell].spec;
  *record.mutable_inputs() = plan.cells[cell].inputs;
  record.mutable_summary()->set_samples_per_second(samples_per_second);
  record.mutable_build()->set_commit("abc");
  return record;
}

TEST_F(SweepRuns, ResultsCompareTrialByTrialWithSolo) {
  const std::vector<RunRecord> records = {Record(plan_, 0, 0, 900), Record(plan_, 1, 0, 1000),
                                          Record(plan_, 0, 1, 450), Record(plan_, 1, 1, 500)};
  const std::string text = ResultsText(plan_, records);
  // Speeds differ by half between trials, their ratios do not.
  EXPECT_THAT(text, HasSubstr("90.0 [90.0, 90.0]"));
  EXPECT_THAT(text, HasSubstr("675 [450, 900]"));
  EXPECT_THAT(text, HasSubstr("note: fewer than 5 trials"));
  EXPECT_THAT(text, Not(HasSubstr("builds")));
}

TEST_F(SweepRuns, ResultsSayHowManyTrialsWereStoppedAndHowManyFailed) {
  RunRecord failed = Record(plan_, 0, 0, 0), stopped = Record(plan_, 1, 0, 0),
            made_again = Record(plan_, 1, 1, 0);
  failed.set_status("OUT_OF_RANGE: nan");
  for (RunRecord* record : {&stopped, &made_again}) {
    record->set_status("UNAVAILABLE: gone");
    record->set_stopped(true);
  }
  EXPECT_THAT(ResultsText(plan_, {failed, stopped, made_again, Record(plan_, 1, 1, 500)}),
              HasSubstr("note: 1 trials failed and 1 were stopped"));
  EXPECT_THAT(ResultsText(plan_, {Record(plan_, 1, 1, 500)}), Not(HasSubstr("were stopped")));
}

// A run whose workers move `bytes` in a step of 10 samples, scored at these losses, 10 samples
// apart.
RunRecord ScoredRecord(const SweepPlan& plan, size_t cell, int32_t trial, double bytes,
                       const std::vector<double>& losses) {
  RunRecord record = Record(plan, cell, trial, 100);
  record.mutable_summary()->set_global_batch(10);
  record.mutable_summary()->set_bytes_up_per_step(bytes / 4);
  record.mutable_summary()->set_bytes_down_per_step(bytes * 3 / 4);
  WorkerReport* worker = record.add_reports()->add_workers();
  for (const double loss : losses) {
    Evaluation* evaluation = worker->add_evaluations();
    evaluation->set_samples_seen(10 * worker->evaluations_size());
    evaluation->set_test_loss(loss);
  }
  return record;
}

TEST(SweepTable, LossAtEqualBytesIsThatOfTheLastMarkBeforeThem) {
  const auto plan = PlanOf(R"pb(axes { field: "arm" values: "ring" values: "local-sgd" }
                                trials: 1)pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  // Of 16 steps the ring moves 16 MB, local SGD a quarter of that.
  std::vector<double> ring, local;
  for (int mark = 1; mark <= 16; ++mark) {
    ring.push_back(4 - 0.1 * mark);
    local.push_back(5 - 0.1 * mark);
  }
  std::vector<RunRecord> records = {ScoredRecord(*plan, 0, 0, 1e6, ring),
                                    ScoredRecord(*plan, 1, 0, 0.25e6, local)};
  const std::string text = ResultsText(*plan, records);
  EXPECT_THAT(text, HasSubstr("16 MB"));
  EXPECT_THAT(text,
              ContainsRegex("arm=ring +2.400 \\[2.400, 2.400\\]\\* +3.600 \\[3.600, 3.600\\] +"
                            "3.900 \\[3.900, 3.900\\] +–"));
  EXPECT_THAT(text, ContainsRegex("arm=local-sgd +3.400 \\[3.400, 3.400\\]\\* +"
                                  "3.400 \\[3.400, 3.400\\]\\* +4.600 \\[4.600, 4.600\\] +4.900"));
  // Alone, or scored at its end alone, it can be compared with nothing.
  records.pop_back();
  EXPECT_THAT(ResultsText(*plan, records), Not(HasSubstr("16 MB")));
  records.push_back(ScoredRecord(*plan, 1, 0, 0.25e6, {3.4}));
  EXPECT_THAT(ResultsText(*plan, records), Not(HasSubstr("16 MB")));
}

TEST(SweepTable, ShowsWhatWasTunedWithABarAtTheEdgeAndNoColumnThatNobodyHas) {
  const auto plan = PlanOf(R"pb(axes { field: "arm" values: "ring" }
                                trials: 1)pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<RunRecord> records = {Record(*plan, 0, 0, 900), Record(*plan, 1, 0, 1000)};
  EXPECT_THAT(ResultsText(*plan, records), AllOf(Not(HasSubstr("tuned")), Not(HasSubstr("loss"))));
  TunedValue* tuned = records[0].mutable_summary()->add_tuned();
  tuned->set_field("optimizer.learning_rate");
  tuned->set_value("0.4");
  tuned->set_at_edge(true);
  records[0].mutable_summary()->set_final_loss(0.25);
  EXPECT_THAT(ResultsText(*plan, records), AllOf(HasSubstr("optimizer.learning_rate=0.4|"),
                                                 HasSubstr("0.2500 [0.2500, 0.2500]")));
}

TEST_F(SweepRuns, TrialsOnFilesThatWereReplacedAreRowsOfTheirOwn) {
  const auto before = PlanOf(R"pb(axes { field: "arm" values: "ring" values: "solo" }
                                  trials: 2)pb",
                             "bbbbbbbbbbbb");
  ASSERT_TRUE(before.ok());
  std::vector<RunRecord> records = {Record(*before, 0, 0, 100), Record(*before, 1, 0, 400),
                                    Record(plan_, 0, 0, 900), Record(plan_, 1, 0, 1000)};
  const std::string text = ResultsText(plan_, records);
  // Each against the solo runs of its own files.
  EXPECT_THAT(text, HasSubstr("arm=ring                            1/2"));
  EXPECT_THAT(text, HasSubstr("900 [900, 900]"));
  EXPECT_THAT(text, HasSubstr("90.0 [90.0, 90.0]"));
  EXPECT_THAT(text, HasSubstr("arm=ring (other data: bbbbbbbb)     1/2"));
  EXPECT_THAT(text, HasSubstr("100 [100, 100]"));
  EXPECT_THAT(text, HasSubstr("25.0 [25.0, 25.0]"));
  EXPECT_THAT(text, HasSubstr("note: files were replaced between trials"));
  records.erase(records.begin(), records.begin() + 2);
  EXPECT_THAT(ResultsText(plan_, records), Not(HasSubstr("replaced")));
}

TEST_F(SweepRuns, ResultsSayWhatMakesThemDoubtful) {
  std::vector<RunRecord> records = {Record(plan_, 0, 0, 900), Record(plan_, 1, 0, 1000)};
  records[0].mutable_conditions()->set_foreign_share(0.4);
  records[1].mutable_build()->set_commit("def");
  records[1].mutable_conditions()->set_quota_periods(40);
  records[1].mutable_conditions()->set_quota_throttled_periods(30);
  records[0].mutable_machine()->set_host_hash("h1");
  records[1].mutable_machine()->set_host_hash("h2");
  const std::string text = ResultsText(plan_, records);
  EXPECT_THAT(text, HasSubstr("arm=ring, trial 0: other processes used 40 % of the cores"));
  EXPECT_THAT(text, HasSubstr("note: the machine was not quiet during 2 of 2 runs\n"));
  EXPECT_THAT(text, HasSubstr("runs of 2 builds: abc, def"));
  EXPECT_THAT(text, HasSubstr("arm=solo, trial 0: a CPU quota stopped it in 75 % of its periods"));
  EXPECT_THAT(text, HasSubstr("runs of 2 machines"));
}

TEST(PlanText, ShowsWhatIsDoneFailedExcludedAndTheSame) {
  const auto plan = PlanOf(R"pb(
    axes { field: "strategy.parameter_server.servers" values: "1" values: "2" }
    axes { field: "arm" values: "ps" values: "ring" values: "ssp" }
    exclude {
      when { field: "arm" value: "ssp" }
      reason: "not today"
    }
    trials: 2)pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string text =
      PlanText(*plan, {{plan->cells[0].id, 0, "ok", 1}, {plan->cells[0].id, 1, "ABORTED: x", 1}});
  EXPECT_THAT(text, HasSubstr("1/2       1"));
  EXPECT_THAT(text, HasSubstr("(added: the ceiling)"));
  EXPECT_THAT(text, HasSubstr("not run: strategy.parameter_server.servers=1 arm=ssp: not today"));
  EXPECT_THAT(text, HasSubstr("the same run: strategy.parameter_server.servers=2 arm=ring as "));
}

}  // namespace
}  // namespace ringmaster
