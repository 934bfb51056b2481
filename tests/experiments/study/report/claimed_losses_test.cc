#include <nlohmann/json.hpp>

#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/report/runs.h"

namespace ringmaster {
namespace {

using Parsed = nlohmann::ordered_json;

// Worker 1 takes three times as long: it has a quarter of the lots.
TEST(Charts, LossesOfClaimedWorkFollowTheLotsWhoeverComputedThem) {
  RunRecord record = RunOf(SpecOf("async", 2), 4);
  WorkerReport* workers[] = {record.mutable_reports(0)->mutable_workers(0),
                             record.mutable_reports(1)->mutable_workers(0)};
  for (WorkerReport* worker : workers) {
    worker->clear_lots();
    worker->clear_step_ms();
    worker->clear_step_loss();
  }
  for (int lot = 0; lot < 2 * kSteps; ++lot) {
    WorkerReport* worker = workers[lot % 4 == 3 ? 1 : 0];
    worker->add_lots(lot);
    worker->add_step_loss(static_cast<float>(lot));
    worker->add_step_ms(worker == workers[1] ? 30 : 10);
  }
  const Parsed rows = Parsed::parse(LossRows(GroupRecords({record})).panels.at(0).rows.Dump());
  ASSERT_FALSE(rows.empty());
  // The mean loss of the last window is near the last lot's number, at the end of all: 90 or 30
  // steps of 10 or 30 ms.
  EXPECT_NEAR(rows.back()["loss"].get<double>(), 2 * kSteps - 1, 2);
  EXPECT_NEAR(rows.back()["seconds"].get<double>(), 0.9, 1e-3);
  double last = -1;
  for (const auto& row : rows) {
    EXPECT_GT(row["loss"].get<double>(), last);
    last = row["loss"].get<double>();
  }
}

}  // namespace
}  // namespace ringmaster
