#include <nlohmann/json.hpp>
#include <vector>

#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/experiments/study/report/runs.h"

namespace ringmaster {
namespace {

using ::testing::IsEmpty;
using Parsed = nlohmann::json;

// Solo exchanges nothing and would win everywhere.
TEST(Winners, TheWinnerOfEachComparisonStandsAtItsSettings) {
  std::vector<RunRecord> records;
  for (const int64_t bytes : {1000, 8000}) {
    for (const int workers : {2, 4}) {
      // ps takes 2 ms, and ring with the larger buckets 1, else 3.
      RunRecord solo = RunOf(SpecOf("solo", workers), 0.5);
      for (RunRecord run : {solo, RunOf(SpecOf("ps", workers), 2),
                            RunOf(SpecOf("ring", workers), bytes == 8000 ? 1 : 3)}) {
        run.mutable_spec()->mutable_training()->set_bucket_bytes(bytes);
        records.push_back(run);
      }
    }
  }
  const auto panels = WinnersRows(GroupRecords(records)).panels;
  ASSERT_EQ(panels.size(), 1u);
  EXPECT_EQ(panels[0].title, "training.bucket_bytes");
  const Parsed rows = Parsed::parse(panels[0].rows.Dump());
  ASSERT_EQ(rows.size(), 4u);
  for (const Parsed& row : rows) {
    const bool large = row["value"] == 8000;
    EXPECT_EQ(row["arm"], large ? "ring" : "ps");
    EXPECT_EQ(row["second"], large ? "ps" : "ring");
    EXPECT_EQ(row["text"], large ? "ring 2.00×" : "ps 1.50×");
  }
  // Of one setting there is no plane, and where one arm competes nobody wins.
  EXPECT_THAT(WinnersRows(GroupRecords(Runs(2, {1}) + Runs(4, {1}))).panels, IsEmpty());
}

}  // namespace
}  // namespace ringmaster
