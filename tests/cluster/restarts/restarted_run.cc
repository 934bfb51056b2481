#include "tests/cluster/restarts/restarted_run.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "experiments/program/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/family_pipe.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

// So that a fault of a server, which hears of the step, comes well before the end.
constexpr char kSlow[] =
    "training.slowdowns=[{ranks: [0, 1] random {probability: 1 milliseconds: 5}}]";

std::vector<const WorkerReport*> WorkersOf(const RunRecord& record) {
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports())
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  return workers;
}

}  // namespace

std::vector<std::string> CompareRestarting(const std::string& arms, const std::string& out,
                                           const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--arms",
                                        arms,
                                        "--out",
                                        out,
                                        "--steps",
                                        absl::StrCat(kRestartedSteps),
                                        "--checkpoint-every",
                                        absl::StrCat(kRestartedEvery),
                                        "--on-failure",
                                        "restart",
                                        "--evaluate-every",
                                        "160",
                                        "--set",
                                        "limits.heartbeat_seconds=0.1",
                                        "--set",
                                        kSlow};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return SmallRun("compare", arguments);
}

std::map<std::string, RunRecord> MakeRestarting(const std::string& arms,
                                                const std::vector<std::string>& more) {
  const std::string out = NewFolder("restarting");
  FamilyPipe family;
  Program program(CompareRestarting(arms, out, more), {}, [&family] { family.Join(); });
  family.Close();
  const Finished finished = program.Wait(Patience(60));
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  EXPECT_TRUE(family.AwaitTheLast(Patience(5))) << "left: " << family.Members();
  std::map<std::string, RunRecord> records;
  if (finished.exit_code != 0) return records;
  absl::StatusOr<std::vector<RunRecord>> stored = Store::ReadRecords(out);
  EXPECT_TRUE(stored.ok()) << stored.status();
  if (!stored.ok()) return records;
  for (RunRecord& record : *stored) {
    const std::string arm = record.spec().name();
    EXPECT_FALSE(std::filesystem::exists(absl::StrCat(out, "/checkpoints/", arm)));
    records[arm] = std::move(record);
  }
  return records;
}

void ExpectRestarted(const RunRecord& record, const std::string& node, int step) {
  EXPECT_EQ(record.status(), "ok");
  EXPECT_FALSE(record.has_resumption()) << "nobody has asked for --resume";
  const auto found =
      std::find_if(record.losses().begin(), record.losses().end(), [&node](const Loss& loss) {
        return std::count(loss.nodes().begin(), loss.nodes().end(), node) > 0;
      });
  ASSERT_NE(found, record.losses().end()) << record.losses_size() << " losses, none of " << node;
  EXPECT_TRUE(found->restarted());
  EXPECT_GE(found->step(), step);
  EXPECT_GE(found->resumed_step(), kRestartedEvery);
  EXPECT_EQ(found->resumed_step() % kRestartedEvery, 0);
  EXPECT_GT(found->undone_steps(), 0);
  EXPECT_TRUE(found->has_detection_seconds());
  EXPECT_GT(found->recovery_seconds(), 0);
  for (const WorkerReport* worker : WorkersOf(record)) {
    double seconds = 0;
    for (const float step_ms : worker->step_ms()) seconds += step_ms / 1000;
    for (const Loss& loss : record.losses()) seconds += loss.recovery_seconds();
    // What was made again took its time too.
    EXPECT_GT(worker->training_seconds(), seconds - 1e-3);
    double before = 0;
    for (const Evaluation& evaluation : worker->evaluations()) {
      EXPECT_GE(evaluation.seconds(), before);
      EXPECT_EQ(evaluation.count(), 67);
      before = evaluation.seconds();
    }
  }
}

void ExpectSameBits(const RunRecord& record, const RunRecord& whole) {
  const std::vector<const WorkerReport*> workers = WorkersOf(record), expected = WorkersOf(whole);
  ASSERT_EQ(workers.size(), expected.size());
  ASSERT_FALSE(workers.empty());
  for (size_t i = 0; i < workers.size(); ++i) {
    const WorkerReport& worker = *workers[i];
    EXPECT_EQ(worker.weights_sha256(), expected[i]->weights_sha256());
    EXPECT_THAT(worker.step_loss(), testing::ElementsAreArray(expected[i]->step_loss()));
    EXPECT_EQ(worker.payload_bytes_up(), expected[i]->payload_bytes_up());
    EXPECT_EQ(worker.payload_bytes_down(), expected[i]->payload_bytes_down());
    ASSERT_EQ(worker.evaluations_size(), expected[i]->evaluations_size());
    for (int mark = 0; mark < worker.evaluations_size(); ++mark)
      EXPECT_EQ(worker.evaluations(mark).test_loss(), expected[i]->evaluations(mark).test_loss());
  }
}

void ExpectEveryLotOnce(const RunRecord& record) {
  std::vector<int64_t> lots;
  for (const WorkerReport* worker : WorkersOf(record))
    lots.insert(lots.end(), worker->lots().begin(), worker->lots().end());
  std::sort(lots.begin(), lots.end());
  ASSERT_EQ(lots.size(), static_cast<size_t>(2 * kRestartedSteps));
  for (size_t i = 0; i < lots.size(); ++i) EXPECT_EQ(lots[i], static_cast<int64_t>(i));
  if (TraitsOf(record.spec()).local_steps > 0) return;
  // Every part has an update of each.
  for (const ProcessReport& process : record.reports())
    for (const ServerReport& server : process.servers())
      EXPECT_EQ(server.updates() % (2 * kRestartedSteps), 0) << server.updates();
}

}  // namespace ringmaster
