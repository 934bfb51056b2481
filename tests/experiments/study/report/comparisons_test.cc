#include "experiments/study/report/comparisons.h"

#include <string>
#include <vector>

#include "experiments/study/report/caveats.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/experiments/study/report/runs.h"

namespace ringmaster {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The runs' spec says a data set of files, and what they held.
std::vector<RunRecord> Reading(std::vector<RunRecord> records, const std::string& fingerprint) {
  for (RunRecord& record : records) {
    record.mutable_spec()->mutable_data()->set_name("mnist");
    record.mutable_spec()->mutable_data()->clear_synthetic();
    if (!fingerprint.empty()) record.mutable_inputs()->mutable_data()->set_fingerprint(fingerprint);
  }
  return records;
}

TEST(Comparisons, TrialsBeforeAndAfterAReplacedFileStandApartByItsContents) {
  const auto records = Reading(Runs(2, {1}), "aaaaaaaa11111111") +
                       Reading(Runs(2, {1, 1}), "bbbbbbbb11111111") + Reading(Runs(2, {1}), "");
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 3u);
  EXPECT_THAT(comparisons.differing, ElementsAre("data.contents"));
  EXPECT_EQ(comparisons.all[0].label, "contents = aaaaaaaa");
  EXPECT_EQ(comparisons.all[1].label, "contents = bbbbbbbb");
  EXPECT_EQ(comparisons.all[2].label, "contents = not noted");
  EXPECT_EQ(CellOf(comparisons.all[0], "ring").trials.size(), 1u);
  EXPECT_EQ(CellOf(comparisons.all[1], "ring").trials.size(), 2u);
  EXPECT_NE(comparisons.all[0].family, comparisons.all[1].family);
}

TEST(Comparisons, RunsFromReplacedWeightsStandApart) {
  auto records = Runs(2, {1, 1});
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].mutable_spec()->mutable_training()->set_init_weights("w.safetensors");
    records[i].mutable_inputs()->set_init_weights(i < 3 ? "aaaaaaaa" : "bbbbbbbb");
  }
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 2u);
  EXPECT_THAT(comparisons.differing, ElementsAre("training.initial_weights"));
}

TEST(Comparisons, SyntheticSamplesAreTheSpecsWhateverARecordNotes) {
  auto records = Runs(2, {1, 1});
  for (size_t i = 0; i < 3; ++i)
    records[i].mutable_inputs()->mutable_data()->set_fingerprint("aaaaaaaa");
  EXPECT_EQ(GroupRecords(records).all.size(), 1u);
}

TEST(Comparisons, ARunThatFailedBeforeItReadAnythingIsOfTheLastCellOfItsSpec) {
  auto records = Reading(Runs(2, {1}), "aaaaaaaa") + Reading(Runs(2, {1}), "bbbbbbbb");
  records.push_back(FailedRun(records.back().spec(), "UNAVAILABLE: gone"));
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 2u);
  EXPECT_EQ(CellOf(comparisons.all[1], "ring").failed.size(), 1u);
}

TEST(Comparisons, StoppedRunsCountApartAndNotOnceTheyAreMadeAgain) {
  std::vector<RunRecord> records = Runs(2, {1});
  RunRecord& done = records.back();
  done.mutable_sweep()->set_sweep("s");
  done.mutable_sweep()->set_cell("c");
  std::vector<RunRecord> others(3, FailedRun(done.spec(), "UNAVAILABLE: gone"));
  others[0].set_stopped(true);
  others[1].set_stopped(true);
  *others[1].mutable_sweep() = done.sweep();
  *others[2].mutable_sweep() = done.sweep();
  others[2].mutable_sweep()->set_trial(1);
  records = records + others;
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.failed.size(), 2u);
  EXPECT_EQ(StoppedAmong(comparisons.failed), 1u);
  EXPECT_EQ(FailedCounts(comparisons.failed), "1 failed, 1 stopped");
  EXPECT_EQ(FailuresText(comparisons.failed), "1 run failed, 1 was stopped");
  EXPECT_EQ(FailuresText({&others[0], &others[1]}), "2 runs were stopped");
  EXPECT_EQ(FailuresText({&others[2]}), "1 run failed");
}

TEST(Comparisons, ATrialThatWasRunTwiceCountsOnce) {
  std::vector<RunRecord> records = Runs(2, {1});
  records.back().mutable_sweep()->set_sweep("s");
  records.back().mutable_sweep()->set_cell("c");
  RunRecord again = records.back();
  again.set_run_id("made elsewhere");
  RunRecord next = again;
  next.mutable_sweep()->set_trial(1);
  records.push_back(again);
  records.push_back(next);
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 1u);
  EXPECT_EQ(CellOf(comparisons.all[0], "ring").trials.size(), 2u);
  EXPECT_EQ(comparisons.repeated, 1);
}

TEST(Comparisons, RunsWithFaultsAreNoTrialsOfThoseWithout) {
  std::vector<RunRecord> records = Runs(2, {1}) + Runs(2, {1});
  const size_t arms = records.size() / 2;
  for (size_t i = arms; i < records.size(); ++i) {
    // Asked for in another order, and of an arm that has no such process.
    for (const char* fault : {"server:0@step=5 kill", "worker:1@step=9 slow 2"})
      records[i].add_faults()->set_fault(fault);
    if (i == arms) records[i].mutable_faults()->SwapElements(0, 1);
  }
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 2u);
  EXPECT_THAT(comparisons.differing, ElementsAre("faults"));
  for (const Comparison& comparison : comparisons.all) {
    EXPECT_EQ(comparison.cells.size(), arms);
    for (const ReportCell& cell : comparison.cells) EXPECT_EQ(cell.trials.size(), 1u);
  }
  records.resize(arms);
  records.push_back(RunOf(records.back().spec(), 1));
  records.back().add_losses();
  EXPECT_EQ(GroupRecords(records).all.size(), 2u) << "a process was lost unasked";
}

TEST(Comparisons, OneMachineUnderTwoNamesIsOneAndItsTrialsPool) {
  auto records = Runs(2, {1, 1});
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].mutable_machine()->set_host_hash(i < 3 ? "a1" : "a2");
    records[i].mutable_machine()->set_boot_hash("boot");
  }
  const Comparisons comparisons = GroupRecords(records);
  ASSERT_EQ(comparisons.all.size(), 1u);
  EXPECT_EQ(CellOf(comparisons.all[0], "ring").trials.size(), 2u);
  EXPECT_THAT(Limits(comparisons), Contains(HasSubstr("All runs come from one machine")));
}

TEST(Caveats, SayWhichRunsTookTurns) {
  auto records = Runs(2, {1});
  ASSERT_EQ(records.size(), 3u);
  const auto limits = [&records] { return Limits(GroupRecords(records)); };
  EXPECT_THAT(limits(), Contains(HasSubstr("All runs took place as a whole")));
  EXPECT_THAT(limits(), Not(Contains(HasSubstr("took turns with"))));
  for (size_t i = 1; i < records.size(); ++i) records[i].add_turns()->set_end_step(10);
  EXPECT_THAT(limits(), Contains(HasSubstr("2 runs took turns with")));
  EXPECT_THAT(limits(), Contains(HasSubstr("1 run took place as a whole")));
  records[0].add_turns()->set_end_step(10);
  EXPECT_THAT(limits(), Contains(HasSubstr("All runs took turns with")));
  EXPECT_THAT(limits(), Not(Contains(HasSubstr("as a whole"))));
}

TEST(Caveats, ACpuQuotaIsSaidAndWhatItStoppedIsADoubt) {
  auto records = Runs(2, {1, 1});
  EXPECT_THAT(Limits(GroupRecords(records)), Not(Contains(HasSubstr("quota held"))));
  for (size_t i = 0; i < 3; ++i) {
    records[i].mutable_machine()->set_cpu_quota(0.5);
    records[i].mutable_conditions()->set_quota_periods(40);
    records[i].mutable_conditions()->set_quota_throttled_periods(30);
  }
  const Comparisons comparisons = GroupRecords(records);
  EXPECT_THAT(Limits(comparisons),
              Contains(HasSubstr("A CPU quota held 3 runs (the tightest to 0.50 cores)")));
  EXPECT_THAT(Doubts(comparisons),
              Contains(HasSubstr("ring (N = 2), 1 of 2 trials: a CPU quota stopped it in 75 % of "
                                 "its periods")));
}

}  // namespace
}  // namespace ringmaster
