#include "tests/cluster/going_on/going_on.h"

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "experiments/program/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {

void ExpectGoesOn(const WorkerLoss& loss) {
  const std::string out = NewFolder("out");
  constexpr int64_t kSteps = 6000;
  Program program(SmallRun(
      "compare", {"--arms", loss.arm, "--workers", "3", "--steps", absl::StrCat(kSteps),
                  "--transport", loss.transport, "--evaluate-every", "36000", "--out", out, "--set",
                  "strategy.on_failure=CONTINUE", "--set", "limits.heartbeat_seconds=0.1"}));
  ASSERT_TRUE(program.WaitForError(" step ", Patience(60))) << program.ErrorSoFar();
  const std::vector<pid_t> children = ChildrenOf(program.pid());
  kill(RankNamed(program.pid(), loss.rank), loss.number);
  const Finished finished = program.Wait(Patience(120));
  ASSERT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  for (const pid_t child : children) EXPECT_NE(kill(child, 0), 0) << child << " is left";

  const RunRecord record = (*Store::ReadRecords(out)).back();
  EXPECT_EQ(record.status(), "ok");
  ASSERT_EQ(record.losses_size(), 1) << "the run was over before the loss";
  EXPECT_THAT(record.losses(0).nodes(), testing::ElementsAre(loss.rank));
  EXPECT_FALSE(record.losses(0).reformed());
  const SchemeTraits traits = TraitsOf(record.spec());
  EXPECT_EQ(record.reports_size(), 2 + traits.servers);
  const WorkerReport* first = nullptr;
  int64_t updates = 0;
  for (const ProcessReport& process : record.reports()) {
    if (first == nullptr && process.workers_size() > 0) first = &process.workers(0);
    for (const ServerReport& server : process.servers()) updates += server.updates();
  }
  ASSERT_NE(first, nullptr);
  ASSERT_GT(first->evaluations_size(), 0);
  for (const Evaluation& evaluation : first->evaluations()) EXPECT_EQ(evaluation.count(), 67);
  EXPECT_EQ(first->final_loss_count(), 500);
  // Where lots are dealt again every part has each of them once.
  if (traits.work == Work::kClaimed && traits.local_steps == 0) {
    EXPECT_GT(updates, 0);
    EXPECT_EQ(updates % (3 * kSteps), 0);
  }
}

}  // namespace ringmaster
