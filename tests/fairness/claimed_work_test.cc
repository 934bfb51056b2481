// Workers that claim their work: each lot once, whoever computes it; figures, marks and bytes that
// follow; and a log from which a run can be replayed to its bits.

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "experiments/proof/verify/record_checks.h"
#include "experiments/proof/verify/replay.h"
#include "experiments/study/results/summary.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr int32_t kWorkers = 3;
constexpr int64_t kSteps = 20;

std::vector<std::string> ClaimingArms() {
  return ArmsThat([](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && arm.traits.work == Work::kClaimed;
  });
}

RunSpec SpecOf(const std::string& arm, int64_t evaluate_every_samples = 0) {
  RunSpec base = SmallSpec(kWorkers, false);
  base.mutable_training()->set_steps(kSteps);
  base.mutable_training()->set_warmup_steps(2);
  base.mutable_training()->set_accumulate(2);
  base.mutable_training()->set_evaluate_every_samples(evaluate_every_samples);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
  return ArmOf(arm, base);
}

// The last rank is late in each of its steps, by as long as the others take for many.
void SlowDownTheLast(RunSpec* spec) {
  SlowdownSpec* slowdown = spec->mutable_training()->add_slowdowns();
  slowdown->add_ranks(kWorkers - 1);
  slowdown->mutable_periodic()->set_every_steps(1);
  slowdown->mutable_periodic()->set_milliseconds(40);
}

const WorkerReport& WorkerOf(const RunRecord& record, int rank) {
  return record.reports(0).workers(rank);
}

TEST(ClaimedWork, EveryLotIsComputedOnceAndTheSetOfBatchesIsThatOfDealtWork) {
  const RunRecord dealt = RunInProcess(SpecOf("ring"));
  for (const std::string& arm : ClaimingArms()) {
    SCOPED_TRACE(arm);
    RunSpec spec = SpecOf(arm);
    SlowDownTheLast(&spec);
    // Batches are made by the step thread, or ahead.
    spec.mutable_data()->set_prefetch(arm == ClaimingArms().front() ? 0 : 2);
    const RunRecord record = RunInProcess(spec);
    ASSERT_EQ(record.status(), "ok");
    std::set<int64_t> lots;
    for (int rank = 0; rank < kWorkers; ++rank) {
      const WorkerReport& worker = WorkerOf(record, rank);
      EXPECT_EQ(worker.lots_size(), worker.step_loss_size());
      EXPECT_EQ(worker.lots(0), rank);
      EXPECT_TRUE(std::is_sorted(worker.lots().begin(), worker.lots().end()));
      lots.insert(worker.lots().begin(), worker.lots().end());
    }
    EXPECT_EQ(static_cast<int64_t>(lots.size()), kWorkers * kSteps);
    EXPECT_EQ(*lots.rbegin(), kWorkers * kSteps - 1);
    // A slow rank takes fewer, and holds up nobody.
    EXPECT_LT(WorkerOf(record, kWorkers - 1).lots_size(), kSteps);
    const auto same = CheckSameBatches({dealt, record});
    EXPECT_TRUE(same.ok()) << same.status();
    const auto payload = CheckPayload({record});
    EXPECT_TRUE(payload.ok()) << payload.status();
  }
}

TEST(ClaimedWork, ALotThatIsComputedTwiceOrNotAtAllIsFound) {
  const RunRecord dealt = RunInProcess(SpecOf("ring"));
  RunRecord record = RunInProcess(SpecOf(ClaimingArms().front()));
  WorkerReport* worker = record.mutable_reports(0)->mutable_workers(1);
  worker->set_batch_set_fingerprint(worker->batch_set_fingerprint() + 1);
  EXPECT_THAT(std::string(CheckSameBatches({dealt, record}).status().message()),
              HasSubstr("the batches of all ranks are"));
  worker->add_step_loss(1);
  EXPECT_THAT(std::string(CheckSameBatches({dealt, record}).status().message()),
              HasSubstr("computed 61 lots of 60"));
}

// All workers evaluate at the same marks, with all samples before them computed, however far the
// lots of one worker lie apart.
TEST(ClaimedWork, MarksAreTheEndsOfLots) {
  const RunSpec probe = SpecOf("ring");
  for (const std::string& arm : ClaimingArms()) {
    // A push is of one lot, or of several.
    const int64_t lot = int64_t{2} * probe.training().batch_per_worker() *
                        std::max(1, DescribeArm(arm).traits.local_steps);
    for (const int64_t every : {lot / 2, 3 * lot + 1, 10 * kWorkers * lot}) {
      SCOPED_TRACE(absl::StrCat(arm, " every ", every));
      RunSpec spec = SpecOf(arm, every);
      SlowDownTheLast(&spec);
      spec.mutable_training()->mutable_slowdowns(0)->mutable_periodic()->set_milliseconds(2);
      const RunRecord record = RunInProcess(spec);
      ASSERT_EQ(record.status(), "ok");
      const WorkerReport& first = WorkerOf(record, 0);
      std::vector<int64_t> marks, expected;
      for (const Evaluation& evaluation : first.evaluations())
        marks.push_back(evaluation.samples_seen());
      const int64_t all = kWorkers * kSteps * 2 * probe.training().batch_per_worker();
      for (int64_t next = every; (next + lot - 1) / lot * lot < all;) {
        const int64_t mark = (next + lot - 1) / lot * lot;
        expected.push_back(mark);
        while (next <= mark) next += every;
      }
      expected.push_back(all);
      EXPECT_EQ(marks, expected);
    }
  }
}

TEST(ClaimedWork, TheRateIsTheSumOfTheWorkersOwnAndTheTailIsApart) {
  RunSpec spec = SpecOf(ClaimingArms().front());
  SlowDownTheLast(&spec);
  const RunRecord record = RunInProcess(spec);
  ASSERT_EQ(record.status(), "ok");
  const RunSummary summary = Summarize(record);
  EXPECT_EQ(summary.work(), "claimed");
  double rate = 0;
  for (int rank = 0; rank < kWorkers; ++rank) {
    const WorkerReport& worker = WorkerOf(record, rank);
    double seconds = worker.timed_seconds();
    int64_t steps = worker.timed_steps();
    if (steps == 0) {
      for (const float step_ms : worker.step_ms()) seconds += step_ms / 1000;
      steps = worker.step_ms_size();
    }
    rate += static_cast<double>(steps) / seconds;
  }
  EXPECT_NEAR(summary.samples_per_second(), rate * 2 * spec.training().batch_per_worker(),
              1e-6 * summary.samples_per_second());
  EXPECT_GT(summary.tail_seconds(), 0);
}

TEST(ClaimedWork, ARunIsReplayedToItsBitsFromItsLog) {
  const auto arms = ArmsThat([](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && arm.traits.updates == Updates::kOnArrival;
  });
  for (const std::string& arm : arms) {
    SCOPED_TRACE(arm);
    RunSpec spec = SpecOf(arm);
    SlowDownTheLast(&spec);
    spec.mutable_training()->mutable_slowdowns(0)->mutable_periodic()->set_milliseconds(2);
    RunRecord record = RunInProcess(spec);
    ASSERT_EQ(record.status(), "ok");
    const std::string end = WorkerOf(record, 0).weights_sha256();
    auto replayed = Replay(record);
    ASSERT_TRUE(replayed.ok()) << replayed.status();
    EXPECT_THAT(*replayed, Each(end));
    // With the weights of one pull before for one step, or for those up to one push, the end is
    // another, or the server never sent these weights. Who is slow may have but one step.
    WorkerReport* worker = record.mutable_reports(0)->mutable_workers(0);
    const int push = std::max(1, DescribeArm(arm).traits.local_steps);
    const int steps = worker->step_pulls_size();
    for (int step = std::max(0, steps - push); step < steps; ++step)
      worker->set_step_pulls(step, worker->step_pulls(step) - 1);
    replayed = Replay(record);
    EXPECT_TRUE(!replayed.ok() || (*replayed)[0] != end);
  }
}

// What a worker holds of its servers' weights follows from the log too.
TEST(ClaimedWork, ARunWhoseWeightsComeAsDifferencesIsReplayedToItsBits) {
  for (const char* down : {"topk", "qsgd"}) {
    SCOPED_TRACE(down);
    RunSpec base = SmallSpec(kWorkers, false);
    base.mutable_training()->set_steps(kSteps);
    base.mutable_training()->set_warmup_steps(2);
    base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
    RunSpec spec = ArmOf("async", base);
    CodecSpec* const codec =
        spec.mutable_strategy()->mutable_parameter_server()->mutable_down_codec();
    codec->set_name(down);
    codec->set_error_feedback(true);
    SetCodecDefaults(codec);
    SlowDownTheLast(&spec);
    spec.mutable_training()->mutable_slowdowns(0)->mutable_periodic()->set_milliseconds(2);
    RunRecord record = RunInProcess(spec);
    ASSERT_EQ(record.status(), "ok");
    const std::string end = WorkerOf(record, 0).weights_sha256();
    const auto replayed = Replay(record);
    ASSERT_TRUE(replayed.ok()) << replayed.status();
    EXPECT_THAT(*replayed, Each(end));
    const auto payload = CheckPayload({record});
    EXPECT_TRUE(payload.ok()) << payload.status();
    // As if weights had come whole.
    record.mutable_spec()->mutable_strategy()->mutable_parameter_server()->clear_down_codec();
    const auto plain = Replay(record);
    EXPECT_TRUE(!plain.ok() || (*plain)[0] != end);
  }
}

TEST(ClaimedWork, ALogThatIsNotThatOfARunIsRefused) {
  const RunRecord whole = RunInProcess(SpecOf(ClaimingArms().front()));
  ASSERT_TRUE(Replay(whole).ok());
  const auto refusal = [&](auto change) {
    RunRecord record = whole;
    ProcessReport* process = record.mutable_reports(0);
    change(process->mutable_workers(1), process->mutable_servers(0));
    return std::string(Replay(record).status().message());
  };
  using W = WorkerReport*;
  using S = ServerReport*;
  EXPECT_THAT(refusal([](W worker, S) { worker->mutable_step_pulls()->RemoveLast(); }),
              HasSubstr("does not have every step"));
  EXPECT_THAT(refusal([](W worker, S) { worker->mutable_lots()->RemoveLast(); }),
              HasSubstr("does not have every step"));
  EXPECT_THAT(refusal([](W, S server) { server->set_arrivals(3, 1000000); }),
              HasSubstr("which no worker can have caused"));
  EXPECT_THAT(refusal([](W, S server) { server->set_arrivals(3, -kWorkers - 1); }),
              HasSubstr("which no worker can have caused"));
  for (const int32_t pulls : {1000, -1}) {
    const auto change = [pulls](W worker, S) {
      worker->set_step_pulls(worker->step_pulls_size() - 1, pulls);
    };
    EXPECT_THAT(refusal(change), HasSubstr("stands still"));
  }
}

}  // namespace
}  // namespace ringmaster
