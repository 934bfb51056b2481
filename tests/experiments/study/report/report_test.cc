#include "experiments/study/report/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/charts.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/report/table_text.h"
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
using ::testing::Not;
using Parsed = nlohmann::ordered_json;

Parsed Read(const Json& json) { return Parsed::parse(json.Dump()); }

TEST(Comparisons, RunsThatDifferInMoreThanStrategyAndCodecStandApartByTheNameOfTheField) {
  const auto records = Runs(2, {1, 1}) + Runs(4, {1, 1});
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 2u);
  EXPECT_THAT(comparisons.differing, ElementsAre("training.workers"));
  EXPECT_EQ(comparisons.all[0].label, "N = 2");
  EXPECT_EQ(comparisons.all[1].label, "N = 4");
  EXPECT_EQ(comparisons.all[0].family, comparisons.all[1].family);
  for (const Comparison& comparison : comparisons.all) {
    ASSERT_EQ(comparison.cells.size(), 3u);
    for (const ReportCell& cell : comparison.cells)
      EXPECT_EQ(cell.trials.size(), 2u) << "seeds are trials of one cell";
  }
}

TEST(Comparisons, AnotherMachineAndAnotherRateAreOtherComparisonsAndFamilies) {
  auto records = Runs(2, {1});
  auto elsewhere = Runs(2, {1});
  for (RunRecord& record : elsewhere) record.mutable_machine()->set_host_hash("h2");
  auto faster = Runs(2, {1});
  for (RunRecord& record : faster)
    record.mutable_spec()->mutable_optimizer()->set_learning_rate(0.5);
  const auto all = records + elsewhere + faster;
  const Comparisons comparisons = GroupRecords(all);
  ASSERT_EQ(comparisons.all.size(), 3u);
  EXPECT_THAT(comparisons.differing, ElementsAre("machine.host", "optimizer.learning_rate"));
  EXPECT_NE(comparisons.all[0].family, comparisons.all[2].family);
}

TEST(Comparisons, ThreadsOfOneProcessStandBesideRunsOverAnyTransport) {
  auto records = Runs(2, {1});
  records.push_back(RunOf(SpecOf("dp", 2), 3));
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 1u);
  EXPECT_EQ(comparisons.all[0].cells.size(), 4u);
}

TEST(Comparisons, CellsOfOneArmAreToldApartByTheirSettings) {
  std::vector<RunRecord> records;
  for (const int bound : {1, 4}) {
    RunSpec spec = SpecOf("ssp", 2);
    spec.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(bound);
    records.push_back(RunOf(spec, 4));
  }
  const Comparisons comparisons = GroupRecords(records);
  EXPECT_THAT(comparisons.arms, ElementsAre("ssp staleness_bound=1", "ssp staleness_bound=4"));
}

TEST(Figures, MediansIntervalsAndEfficiencyAreOverTrialsInPairs) {
  const auto records = Runs(2, {1, 1.5, 2});
  const Comparisons comparisons = GroupRecords(records);
  const ReportCell& ps = CellOf(comparisons.all[0], "ps");
  const auto efficiency = FigureOf(ps, FigureByTag("efficiency"));
  ASSERT_TRUE(efficiency.has_value());
  EXPECT_NEAR(efficiency->median, 100 * 2.01 / 6.01, 0.1);
  EXPECT_NEAR(efficiency->high, 50, 0.1);
  EXPECT_NEAR(efficiency->low, 100 * 2.02 / 8.02, 0.1);
  const auto per_process = FigureOf(ps, FigureByTag("samples_per_second_per_node"));
  const auto per_worker = FigureOf(ps, FigureByTag("samples_per_second_per_worker"));
  EXPECT_NEAR(per_process->median / per_worker->median, 2.0 / 3, 1e-6)
      << "the server is a process too";
}

TEST(Figures, ArmsAreToldApartOnlyByAnIntervalWithoutOneAndFromSixPairsOn) {
  const auto verdict = [](const std::vector<float>& slower) {
    const auto records = Runs(2, slower);
    const Comparisons comparisons = GroupRecords(records);
    const auto rows = RatioRows(comparisons);
    EXPECT_EQ(rows.panels.size(), 1u);
    const Parsed row = Read(rows.panels[0].rows)[0];
    EXPECT_EQ(row["pair"], "ring / ps");
    return row["verdict"].get<std::string>();
  };
  EXPECT_EQ(verdict({1.5, 1.6, 1.4, 1.5, 1.6, 1.5}), "faster");
  EXPECT_EQ(verdict({0.5, 0.6, 0.4, 0.5, 0.6, 0.5}), "slower");
  EXPECT_EQ(verdict({0.5, 1.6, 0.7, 1.5, 0.6, 1.6}), "not distinguishable");
  EXPECT_EQ(verdict({1.5, 1.6, 1.4, 1.5, 1.6}), "fewer than 6 pairs");
  EXPECT_EQ(verdict({1.5}), "fewer than 6 pairs");
}

TEST(Tables, AFailedRunHasAStatusAndNoFigures) {
  auto records = Runs(2, {1});
  records.push_back(FailedRun(SpecOf("async", 2), "UNAVAILABLE: worker/1 | died"));
  const Comparisons comparisons = GroupRecords(records);
  const ReportCell& failed = CellOf(comparisons.all[0], "async");
  EXPECT_THAT(failed.trials, IsEmpty());
  for (const Figure* figure : ReportFigures())
    EXPECT_FALSE(FigureOf(failed, *figure).has_value()) << figure->tag;
  const auto tables = MakeTables(comparisons);
  const std::string text = MarkdownText(comparisons, tables);
  EXPECT_THAT(text, HasSubstr("UNAVAILABLE: worker/1 \\| died"));
  EXPECT_THAT(text, HasSubstr("1 run failed"));
}

TEST(Tables, EveryWorkerAndServerHasItsOwnFigures) {
  std::vector<RunRecord> records;
  for (const float slower : {1.0f, 2.0f, 3.0f}) {
    RunRecord record = RunOf(SpecOf("ps", 2), 4);
    WorkerReport* second = record.mutable_reports(1)->mutable_workers(0);
    for (float& step_ms : *second->mutable_step_ms()) step_ms *= slower;
    for (ProcessReport& process : *record.mutable_reports())
      process.mutable_costs()->set_pss_bytes(30000000);
    records.push_back(record);
  }
  const Comparisons comparisons = GroupRecords(records);
  const auto tables = MakeTables(comparisons);
  const auto nodes = std::find_if(tables.begin(), tables.end(),
                                  [](const ReportTable& table) { return table.id == "nodes"; });
  ASSERT_NE(nodes, tables.end());
  ASSERT_EQ(nodes->rows.size(), 3u);
  const auto cell = [&](size_t row, const std::string& id) {
    for (size_t i = 0; i < nodes->columns.size(); ++i) {
      if (nodes->columns[i].id == id) return CellText(nodes->columns[i], nodes->rows[row].cells[i]);
    }
    return std::string("no such column");
  };
  EXPECT_EQ(cell(0, "node"), "worker/0");
  EXPECT_EQ(cell(0, "step_ms_p50"), "4.00");
  EXPECT_EQ(cell(1, "step_ms_p50"), "8.00 [4.00, 12.00]");
  EXPECT_EQ(cell(1, "exposed_comm_ms"), "1.33");
  EXPECT_EQ(cell(2, "node"), "server/0");
  EXPECT_EQ(cell(2, "process"), "2");
  EXPECT_EQ(cell(2, "step_ms_p50"), "–");
  EXPECT_EQ(cell(2, "staleness_max"), "2");
  EXPECT_EQ(cell(2, "pss_megabytes"), "30.0");
  EXPECT_EQ(cell(2, "cpu_ms_per_sample"), "no such column") << "nobody measured it";
}

// Ranks of solo that differ leave contention undefined for all arms: a reader of JSON must still
// find the key.
TEST(Tables, JsonHasEveryColumnWhetherOrNotSomebodyHasAValue) {
  const std::vector<RunRecord> records = {RunOf(SpecOf("ring", 2), 4)};
  const Comparisons comparisons = GroupRecords(records);
  const auto tables = MakeTables(comparisons, ColumnChoice::kAll);
  const Parsed row = Parsed::parse(JsonText(comparisons, tables))["tables"][0]["rows"][0];
  for (const Figure* figure : ReportFigures()) EXPECT_TRUE(row.contains(figure->report->id));
  EXPECT_TRUE(row["contention_ms"].is_null());
  EXPECT_TRUE(row["tuned"].is_null());
}

TEST(Tables, TextIsEscapedInEveryFormat) {
  RunSpec spec = SpecOf("ring", 2);
  spec.set_name("my_ring, 50% & \"more\" | <b>");
  const std::vector<RunRecord> records = {RunOf(spec, 4)};
  const Comparisons comparisons = GroupRecords(records);
  const auto tables = MakeTables(comparisons);
  EXPECT_THAT(MarkdownText(comparisons, tables), HasSubstr("my_ring, 50% & \"more\" \\| &lt;b>"));
  const std::string latex = LatexText(comparisons, tables);
  for (const char* part : {"my\\_", "50\\%", "\\&\\allowbreak{} ", "''", "\\textbar{}",
                           "\\textless{}", "\\textgreater{}"}) {
    EXPECT_THAT(latex, HasSubstr(part));
  }
  EXPECT_THAT(latex, HasSubstr("\\toprule"));
  EXPECT_THAT(CsvText(comparisons), HasSubstr("\"my_ring, 50% & \"\"more\"\" | <b>\""));
  const Parsed json = Parsed::parse(JsonText(comparisons, tables));
  EXPECT_EQ(json["tables"][0]["rows"][0]["arm"], spec.name());
}

TEST(Tables, EveryFigureIsInAGroupThatFoldsAndTheArmStandsBesideAll) {
  const auto records = Runs(2, {1});
  const auto tables = MakeTables(GroupRecords(records));
  for (const ReportTable& table : tables) {
    if (table.id != "figures" && table.id != "nodes") continue;
    EXPECT_EQ(table.columns.front().id, "arm");
    EXPECT_EQ(ColumnGroups(table).front(), "speed");
    for (const TableColumn& column : table.columns)
      EXPECT_EQ(column.group.empty(), column.id == "arm" || column.id == "node") << column.id;
  }
  const std::string markdown = MarkdownText(GroupRecords(records), tables);
  EXPECT_THAT(markdown, HasSubstr("\nset-up:\n\n| arm | N, workers | K, servers |"));
}

// What stands between `begin` and `end`, each time.
std::vector<std::string> Between(const std::string& text, const std::string& begin,
                                 const std::string& end) {
  std::vector<std::string> found;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const size_t from = at + begin.size();
    found.push_back(text.substr(from, text.find(end, from) - from));
  }
  return found;
}

TEST(Latex, TablesHaveCaptionsAndLabelsOfTheirOwnDashesAndMinusSigns) {
  auto records = Runs(2, {1, 1.2f}) + Runs(4, {1, 1.2f});
  for (RunRecord& record : records) {
    if (record.spec().name() == "ps")
      record.mutable_reports(0)->mutable_workers(0)->set_final_loss(-0.5);
  }
  const Comparisons comparisons = GroupRecords(records);
  const std::string latex = LatexText(comparisons, MakeTables(comparisons));
  for (const auto& texts : {Between(latex, "\\caption{", "}\n"), Between(latex, "\\label{", "}")}) {
    EXPECT_GT(texts.size(), 10u);
    EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), texts.size());
  }
  EXPECT_EQ(Between(latex, "\\begin{table}", "\n").size(), Between(latex, "\\label{", "}").size());
  EXPECT_THAT(latex, HasSubstr("\\label{tab:figures-2-learning}"));
  EXPECT_THAT(latex, HasSubstr("$-$0.5"));
  EXPECT_THAT(latex, Not(HasSubstr(" -0.5")));
  EXPECT_THAT(latex, HasSubstr("{--}"));
  EXPECT_THAT(latex, HasSubstr("{\\scriptsize ["));
}

TEST(Tables, CsvHasARowForEveryCellAndAsManyFieldsInEach) {
  const auto records = Runs(2, {1, 2}) + Runs(4, {1, 2});
  const std::string csv = CsvText(GroupRecords(records));
  std::vector<size_t> commas;
  for (size_t begin = 0; begin < csv.size();) {
    const size_t end = csv.find("\r\n", begin);
    commas.push_back(std::count(csv.begin() + static_cast<int64_t>(begin),
                                csv.begin() + static_cast<int64_t>(end), ','));
    begin = end + 2;
  }
  ASSERT_EQ(commas.size(), 1u + 6u);
  for (const size_t count : commas) EXPECT_EQ(count, commas[0]);
}

TEST(Caveats, SayWhatTheRecordsShowOfMachineNetworkAndTrials) {
  auto records = Runs(4, {1});
  records[0].mutable_build()->set_commit("abc-dirty");
  records[1].mutable_conditions()->set_foreign_share(0.4);
  const std::string limits = absl::StrJoin(Limits(GroupRecords(records)), "\n");
  EXPECT_THAT(limits, HasSubstr("within one host"));
  EXPECT_THAT(limits, HasSubstr("up to 5 on 2, arm ps with N = 4"));
  EXPECT_THAT(limits, HasSubstr("3 of 3 cells have fewer than 6 trials"));
  EXPECT_THAT(limits, HasSubstr("Runs of 2 builds"));
  EXPECT_THAT(limits, HasSubstr("-dirty"));
  EXPECT_THAT(limits, HasSubstr("not quiet during 1 run"));
  EXPECT_THAT(limits, HasSubstr("synthetic"));
  EXPECT_THAT(limits, Not(HasSubstr("emulated")));
  for (RunRecord& record : records) {
    record.mutable_spec()->mutable_transport()->mutable_network()->set_latency_ms(1);
    record.mutable_spec()->mutable_training()->mutable_emulated_compute()->set_milliseconds(5);
  }
  const std::string shaped = absl::StrJoin(Limits(GroupRecords(records)), "\n");
  EXPECT_THAT(shaped, HasSubstr("emulated on one host"));
  EXPECT_THAT(shaped, HasSubstr("computed nothing"));
}

TEST(Caveats, OutliersAndDriftAreNamedAndCountAllTheSame) {
  auto records = Runs(2, {1, 1.01f, 1.02f, 1.03f, 5});
  const Comparisons comparisons = GroupRecords(records);
  const std::string doubts = absl::StrJoin(Doubts(comparisons), "\n");
  EXPECT_THAT(doubts, HasSubstr("ps (N = 2), trial 4 is an outlier"));
  EXPECT_EQ(CellOf(comparisons.all[0], "ps").trials.size(), 5u);
  const auto drifting = Runs(2, {1, 1, 2, 2});
  EXPECT_THAT(absl::StrJoin(Doubts(GroupRecords(drifting)), "\n"), HasSubstr("ps (N = 2) drifts"));
}

TEST(Charts, EveryChartHasAValidSpecAndRowsOrAReason) {
  const std::vector<RunRecord> none = {FailedRun(SpecOf("ps", 2), "INTERNAL: no")};
  const auto records = Runs(2, {1, 2}) + Runs(4, {1, 2});
  for (const auto* runs : {&none, &records}) {
    const Comparisons comparisons = GroupRecords(*runs);
    for (const ChartInfo& info : Charts()) {
      const auto made = ChartJson(comparisons, info.id);
      ASSERT_TRUE(made.ok()) << made.status();
      const Parsed chart = Read(*made);
      EXPECT_NE(chart["panels"].empty(), chart["missing"].get<std::string>().empty()) << info.id;
      EXPECT_TRUE(runs == &records || chart["panels"].empty()) << info.id;
      EXPECT_TRUE(chart["spec"].contains("mark") || chart["spec"].contains("layer")) << info.id;
    }
  }
  const auto unknown = ChartJson(GroupRecords(records), "scalin");
  EXPECT_THAT(
      std::string(unknown.status().message()),
      HasSubstr("no such chart; did you mean \"scaling\"? known are ranking, time_to_accuracy"));
}

TEST(Charts, ASettingThatVariesAloneIsOnAnAxis) {
  auto records = Runs(2, {1}) + Runs(4, {1});
  for (const int64_t bytes : {1000, 8000}) {
    records = records + Runs(4, {1});
    for (size_t i = records.size() - 3; i < records.size(); ++i) {
      records[i].mutable_spec()->mutable_training()->set_bucket_bytes(bytes);
    }
  }
  const auto panels = SweptRows(GroupRecords(records)).panels;
  ASSERT_EQ(panels.size(), 1u) << "N = 2 has one size of buckets only";
  EXPECT_EQ(panels[0].title, "training.bucket_bytes (N = 4)");
  EXPECT_EQ(panels[0].rows.size(), 3u * 3);
}

TEST(Charts, TheRankingHasEachArmsShareOfItsCeiling) {
  const auto records = Runs(2, {2});
  const Parsed rows = Read(RankingRows(GroupRecords(records)).panels.at(0).rows);
  ASSERT_EQ(rows.size(), 3u);
  for (const Parsed& row : rows) {
    const bool solo = row["arm"] == "solo";
    EXPECT_EQ(row["name"], solo ? "solo, the ceiling" : row["arm"]);
    EXPECT_EQ(row.contains("yardstick"), solo);
    EXPECT_EQ(row.contains("ceiling"), !solo);
    if (row["arm"] == "ring") {
      EXPECT_EQ(row["percent"], 50.0) << "4 ms a step, and solo 2";
      EXPECT_NEAR(row["ceiling"].get<double>(), 2 * row["samples_per_second"].get<double>(), 0.1);
    }
  }
}

TEST(Charts, OneNumberOfWorkersIsNoAxis) {
  const auto one = Runs(2, {1}), both = Runs(2, {1}) + Runs(4, {1});
  for (const auto rows : {ScalingRows, EfficiencyRows}) {
    EXPECT_THAT(rows(GroupRecords(one)).panels, IsEmpty());
    EXPECT_THAT(rows(GroupRecords(one)).missing, HasSubstr("training.workers"));
    EXPECT_EQ(rows(GroupRecords(both)).panels.size(), 1u);
  }
  const auto chart = Read(*ChartJson(GroupRecords(one), "payload"));
  EXPECT_EQ(chart["panels"].size(), 1u);
  EXPECT_TRUE(chart["spec_of_one"].contains("layer")) << "bars, where N is no axis";
}

// A run whose one evaluation predicts `accuracy` of the labels right after `seconds`.
RunRecord Scored(const char* arm, double accuracy, double seconds) {
  RunRecord record = RunOf(SpecOf(arm, 2), 4);
  for (ProcessReport& process : *record.mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers()) {
      worker.mutable_evaluations(0)->set_test_accuracy(accuracy);
      worker.mutable_evaluations(0)->set_seconds(seconds);
    }
  }
  return record;
}

TEST(Charts, WhereNoArmReachesTheUsualAccuraciesTheRaceIsToTheOneThatAllReach) {
  const std::vector<RunRecord> records = {Scored("ps", 0.645, 2), Scored("ring", 0.59, 1),
                                          RunOf(SpecOf("solo", 2), 2)};
  const Parsed rows = Read(TimeToAccuracyRows(GroupRecords(records)).panels.at(0).rows);
  ASSERT_EQ(rows.size(), 2u) << "solo learns nothing";
  for (const Parsed& row : rows) {
    EXPECT_EQ(row["accuracy"], "59 %");
    EXPECT_EQ(row["seconds"], row["arm"] == "ps" ? 2.0 : 1.0);
    EXPECT_FALSE(row.contains("unreached"));
  }
}

TEST(Charts, AnArmThatNeverReachesTheAccuracyIsNamedAmongThoseThatDo) {
  const std::vector<RunRecord> records = {Scored("ps", 0.975, 2), Scored("ring", 0.6, 1)};
  const Parsed rows = Read(TimeToAccuracyRows(GroupRecords(records)).panels.at(0).rows);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["accuracy"], "97 %");
  EXPECT_FALSE(rows[0].contains("unreached"));
  EXPECT_EQ(rows[1]["unreached"], true);
  EXPECT_EQ(rows[1]["reached"], "0 of 1 trials");
}

TEST(FirstScreen, ShowsTheComparisonOfMostArmsAndWorkers) {
  auto records = Runs(2, {1}) + Runs(4, {1});
  records.push_back(RunOf(SpecOf("ring", 8), 4));
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 3u);
  EXPECT_EQ(comparisons.all[MainComparison(comparisons) - 1].label, "N = 4");
  EXPECT_EQ(MainComparison(GroupRecords({})), 0);
}

TEST(FirstScreen, SaysTheGravestDoubtAndNothingWithoutReason) {
  const std::vector<float> six = {1, 1.01f, 1.02f, 1.03f, 1.01f, 1};
  auto records = Runs(2, six);
  EXPECT_EQ(FirstDoubt(GroupRecords(records)), "");
  const auto few = Runs(2, {1});
  EXPECT_THAT(FirstDoubt(GroupRecords(few)), HasSubstr("With 1 trial of an arm"));
  const auto outlier = Runs(2, {1, 1.01f, 1.02f, 1.03f, 5, 1});
  EXPECT_THAT(FirstDoubt(GroupRecords(outlier)), HasSubstr("outlier"));
  records.push_back(FailedRun(SpecOf("async", 2), "INTERNAL: no"));
  EXPECT_THAT(FirstDoubt(GroupRecords(records)), HasSubstr("1 run failed"));
  records[1].mutable_conditions()->set_foreign_share(0.38);
  EXPECT_THAT(FirstDoubt(GroupRecords(records)),
              HasSubstr("not quiet during 1 of 18 runs: others took up to 38 % of its cores"));
}

TEST(Charts, MeteredBytesLieOnTheFormula) {
  RunSpec spec = SpecOf("ring", 2);
  const std::vector<RunRecord> records = {RunOf(spec, 4)};
  const Parsed rows = Read(PayloadRows(GroupRecords(records)).panels.at(0).rows);
  EXPECT_EQ(rows[0]["kilobytes"], 1.0);
  // mlp of 784-128-10: 101770 floats; a ring of two sends and receives them once.
  EXPECT_NEAR(rows[0]["formula_kilobytes"].get<double>(), 2 * 4 * 101.770, 0.01);
}

TEST(Charts, StalenessIsAShareOfAllContributions) {
  const std::vector<RunRecord> records = {RunOf(SpecOf("async", 2), 4)};
  const Parsed rows = Read(StalenessRows(GroupRecords(records)).panels.at(0).rows);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1]["staleness"], 1);
  EXPECT_EQ(rows[1]["percent"], 30.0);
}

TEST(Charts, PredictionsStandBesideMeasurements) {
  std::vector<RunRecord> records = {RunOf(SpecOf("ring", 2), 4)};
  records[0].mutable_prediction()->set_step_ms(5);
  const Parsed rows = Read(PredictionRows(GroupRecords(records)).panels.at(0).rows);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["name"], "ring");
  EXPECT_EQ(rows[0]["off_text"], "+25 %");
  EXPECT_EQ(rows[0]["predicted_ms"], 5.0);
  EXPECT_EQ(rows[0]["measured_ms"], 4.0);
  EXPECT_EQ(rows[0]["off_percent"], 25.0);
}

TEST(Charts, TheTimelineJoinsTheTwoEndsOfAMessage) {
  std::vector<RunRecord> records = {RunOf(SpecOf("ps", 2), 4)};
  const auto thread = [&](const char* node, const char* name) {
    ThreadTrace* trace = records[0].mutable_reports(0)->add_traces();
    trace->set_node(node);
    trace->set_thread(name);
    return trace;
  };
  ThreadTrace* worker = thread("worker/0", "exchange");
  TraceSpan* span = worker->add_spans();
  span->set_phase("exchange");
  span->set_step(10);
  span->set_bucket(-1);
  span->set_begin_ns(5000000);
  span->set_duration_ns(1000000);
  ThreadTrace* server = thread("server/0", "shard");
  for (const bool sent : {true, false}) {
    TraceMessage* message = sent ? worker->add_sent() : server->add_received();
    message->set_peer(sent ? "server/0" : "worker/0");
    message->set_kind("push");
    message->set_step(10);
    message->set_payload_bytes(400);
    message->set_time_ns(sent ? 5500000 : 7000000);
  }
  server->add_received()->set_peer("worker/1");  // whose other end was not recorded
  const auto panels = TimelineRows(GroupRecords(records)).panels;
  ASSERT_EQ(panels.size(), 1u);
  ASSERT_EQ(panels[0].rows.size(), 2u);
  const Parsed rows = Read(panels[0].rows);
  EXPECT_EQ(rows[0]["begin_ms"], 0.0);
  EXPECT_EQ(rows[0]["end_ms"], 1.0);
  const Parsed& message = rows[1];
  EXPECT_EQ(message["track"], "worker/0 exchange");
  EXPECT_EQ(message["to"], "server/0 shard");
  EXPECT_EQ(message["begin_ms"], 0.5);
  EXPECT_EQ(message["end_ms"], 2.0);
}

TEST(Charts, ArmsKeepTheirColorsWhateverStandsBesideThem) {
  const Parsed few = Read(ArmStyles({"ring"}));
  const Parsed many = Read(ArmStyles({"ps", "ring", "mine", "yours"}));
  EXPECT_EQ(few[0]["color"], many[1]["color"]);
  std::vector<std::string> colors;
  for (const Parsed& style : many) {
    EXPECT_THAT(colors, Not(Contains(style["color"].get<std::string>())));
    colors.push_back(style["color"]);
  }
}

TEST(Page, HoldsEverythingAndNoTextEndsItsScripts) {
  RunSpec spec = SpecOf("ring", 2);
  spec.set_name("</script><script>alert(1)</script>");
  const std::vector<RunRecord> records = {RunOf(spec, 4)};
  const Comparisons comparisons = GroupRecords(records);
  const auto page = ReportPage(comparisons, MakeTables(comparisons));
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(*page, Not(HasSubstr("src=\"http")));
  EXPECT_THAT(*page, HasSubstr("Redistribution and use in source and binary forms"));
  const std::string open = "<script id=\"report\" type=\"application/json\">";
  const size_t begin = page->find(open) + open.size();
  const Parsed json = Parsed::parse(page->substr(begin, page->find("</script>", begin) - begin));
  EXPECT_EQ(json["arms"][0]["name"], spec.name());
  EXPECT_EQ(json["charts"].size(), Charts().size());
}

}  // namespace
}  // namespace ringmaster
