// Evaluations do not touch training: what is scored at a mark is the model that a run which ends
// there has, and nobody waits for anybody at a mark.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/run_arm.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

constexpr int64_t kSteps = 7;
constexpr int64_t kStepsBetween = 2;

RunSpec SpecOf(const std::string& arm, int32_t workers, int64_t steps, bool evaluates) {
  RunSpec base = SmallSpec(workers, false);
  base.mutable_training()->set_steps(steps);
  base.mutable_training()->set_warmup_steps(0);
  base.mutable_training()->set_bucket_bytes(1024);
  // So that a run may end at each mark.
  base.mutable_strategy()->mutable_parameter_server()->set_local_steps(1);
  RunSpec spec = ArmOf(arm, base);
  ExchangeOften(&spec);
  spec.mutable_training()->set_evaluate_every_samples(
      evaluates ? kStepsBetween * GlobalBatch(spec) - 1 : 0);
  return spec;
}

const WorkerReport& First(const RunRecord& record) { return record.reports(0).workers(0); }

bool IsScoredArm(const ArmUnderTest& arm) {
  // With backup workers the bits follow from who came first.
  return RunsEverywhere(arm) && arm.traits.replicas != Replicas::kIndependent &&
         arm.traits.backup_workers == 0;
}

// Has every update in its weights before the next step: one worker's run then has the same bits
// each time, although its updates are made on arrival.
class DrainsEachStep : public ForwardingStrategy {
 public:
  using ForwardingStrategy::ForwardingStrategy;
  absl::Status EndStep(int64_t step) override {
    RM_RETURN_IF_ERROR(real_->EndStep(step));
    return real_->Drain();
  }
};

RunRecord RunOf(const ArmUnderTest& arm, const RunSpec& spec) {
  RunSeams seams;
  if (arm.traits.updates == Updates::kOnArrival) {
    seams.create_strategy =
        [](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
      RM_ASSIGN_OR_RETURN(std::unique_ptr<SyncStrategy> real, CreateStrategy(link));
      return std::make_unique<DrainsEachStep>(std::move(real));
    };
  }
  return RunInProcess(spec, seams);
}

class EveryScoredArm : public testing::TestWithParam<std::string> {};

// Where updates come together, with any number of workers; where they come on arrival, with one,
// whose order is fixed.
TEST_P(EveryScoredArm, AMarkHasTheBitsOfARunThatEndsThere) {
  const ArmUnderTest arm = DescribeArm(GetParam());
  const int32_t workers = arm.traits.updates == Updates::kTogether ? 3 : 1;
  const RunRecord whole = RunOf(arm, SpecOf(GetParam(), workers, kSteps, true));
  ASSERT_EQ(whole.status(), "ok");
  const auto& evaluations = First(whole).evaluations();
  ASSERT_EQ(evaluations.size(), 4);
  for (int mark = 0; mark < 4; ++mark) {
    const int64_t steps = mark == 3 ? kSteps : (mark + 1) * kStepsBetween;
    const RunRecord part = RunOf(arm, SpecOf(GetParam(), workers, steps, false));
    ASSERT_EQ(part.status(), "ok");
    ASSERT_EQ(First(part).evaluations_size(), 1);
    const Evaluation& expected = First(part).evaluations(0);
    EXPECT_EQ(evaluations[mark].samples_seen(), expected.samples_seen()) << mark;
    EXPECT_EQ(evaluations[mark].count(), expected.count()) << mark;
    EXPECT_EQ(evaluations[mark].test_loss(), expected.test_loss()) << mark;
    EXPECT_EQ(evaluations[mark].test_accuracy(), expected.test_accuracy()) << mark;
    if (mark < 3) {
      EXPECT_NE(evaluations[mark].test_loss(), evaluations[3].test_loss()) << mark;
    }
  }
}

// A run that is evaluated often is the same run.
TEST_P(EveryScoredArm, EvaluationsChangeNoBitOfTraining) {
  const ArmUnderTest arm = DescribeArm(GetParam());
  const int32_t workers = arm.traits.updates == Updates::kTogether ? 2 : 1;
  const RunRecord with = RunOf(arm, SpecOf(GetParam(), workers, kSteps, true));
  const RunRecord without = RunOf(arm, SpecOf(GetParam(), workers, kSteps, false));
  ASSERT_EQ(with.status(), "ok");
  EXPECT_EQ(First(with).weights_sha256(), First(without).weights_sha256());
  EXPECT_EQ(First(with).payload_bytes_up(), First(without).payload_bytes_up());
  EXPECT_EQ(First(with).payload_bytes_down(), First(without).payload_bytes_down());
  EXPECT_EQ(First(with).header_bytes_up(), First(without).header_bytes_up());
  EXPECT_EQ(First(with).header_bytes_down(), First(without).header_bytes_down());
}

TEST_P(EveryScoredArm, TheTimesOfMarksAscendWithinTraining) {
  RunSpec spec = SpecOf(GetParam(), 2, kSteps, true);
  const RunRecord record = RunInProcess(spec);
  ASSERT_EQ(record.status(), "ok");
  const std::vector<SampleMark> marks = SampleMarks(spec);
  ASSERT_EQ(First(record).evaluations_size(), static_cast<int>(marks.size()));
  // Where nobody waits for it, the first worker may begin when others have passed marks.
  const bool begins_late = DescribeArm(GetParam()).traits.updates != Updates::kTogether;
  double before = 0;
  for (int mark = 0; mark < First(record).evaluations_size(); ++mark) {
    const Evaluation& evaluation = First(record).evaluations(mark);
    EXPECT_EQ(evaluation.samples_seen(), marks[mark].samples);
    if (evaluation.seconds() == 0 && before == 0 && begins_late) continue;
    EXPECT_GT(evaluation.seconds(), before) << mark;
    before = evaluation.seconds();
  }
  // Not before the first rank's steps are computed, but for what is still on its way.
  double training = 0;
  for (const float ms : First(record).step_ms()) training += ms / 1000;
  EXPECT_GT(before, training / 2);
  for (const ServerReport& server : record.reports(0).servers())
    EXPECT_EQ(server.mark_ns_size(), 0);
}

INSTANTIATE_TEST_SUITE_P(Marks, EveryScoredArm, testing::ValuesIn(ArmsThat(IsScoredArm)),
                         [](const auto& info) { return TestName(info.param); });

// Steps that worker 0 has made, and who waits for them.
class Steps {
 public:
  void Made() {
    absl::MutexLock lock(&mutex_);
    ++made_;
  }
  bool Await(int64_t steps) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, steps]()
                            ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return made_ >= steps; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), Patience(20));
  }

 private:
  absl::Mutex mutex_;
  int64_t made_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Worker 1 begins its second step when worker 0 has made all of its own.
class StandsStill : public ForwardingStrategy {
 public:
  StandsStill(std::unique_ptr<SyncStrategy> real, int32_t rank, Steps* steps)
      : ForwardingStrategy(std::move(real)), rank_(rank), steps_(*steps) {}

  absl::Status BeginStep(int64_t step) override {
    if (rank_ == 1 && step == 1 && !steps_.Await(kSteps))
      return absl::DeadlineExceededError("worker/0 waits at a mark");
    return real_->BeginStep(step);
  }
  absl::Status EndStep(int64_t step) override {
    const absl::Status ended = real_->EndStep(step);
    if (rank_ == 0) steps_.Made();
    return ended;
  }

 private:
  const int32_t rank_;
  Steps& steps_;
};

TEST(Marks, WithoutAStalenessBoundAWorkerGoesOnPastMarksWhileAnotherStandsStill) {
  const auto is_unbounded = [](const ArmUnderTest& arm) {
    return IsScoredArm(arm) && arm.traits.updates == Updates::kOnArrival &&
           !arm.traits.staleness_bound.has_value();
  };
  for (const std::string& arm : ArmsThat(is_unbounded)) {
    Steps steps;
    RunSeams seams;
    seams.create_strategy =
        [&](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
      auto real = CreateStrategy(link);
      if (!real.ok()) return real.status();
      return std::make_unique<StandsStill>(*std::move(real), link.rank, &steps);
    };
    const RunSpec spec = SpecOf(arm, 2, kSteps, true);
    const RunRecord record = RunInProcess(spec, seams);
    ASSERT_EQ(record.status(), "ok") << arm;
    EXPECT_EQ(First(record).evaluations_size(), static_cast<int>(SampleMarks(spec).size())) << arm;
  }
}

// Of two servers on machines of unlike clocks the later one's, without the pause before it.
TEST(Marks, TheTimeOfAMarkIsThatOfTheLastServerOnTheClockOfWorkerZero) {
  RunRecord record;
  *record.mutable_spec() = SpecOf("ps-sharded", 2, kSteps, true);
  const std::vector<SampleMark> marks = SampleMarks(record.spec());
  const int64_t second = 1'000'000'000;
  std::vector<ProcessReport> reports(2);
  for (int process = 0; process < 2; ++process) {
    TraceClock* clock = reports[process].mutable_trace_clock();
    clock->set_name(process == 0 ? "a" : "b");
    clock->set_welcomed_ns((process == 0 ? 10 : 500) * second);
    if (process == 0) clock->set_started_ns(12 * second);
    WorkerReport* worker = reports[process].add_workers();
    worker->set_rank(process);
    ServerReport* server = reports[process].add_servers();
    for (size_t mark = 0; mark < marks.size(); ++mark) {
      Evaluation* evaluation = worker->add_evaluations();
      evaluation->set_samples_seen(marks[mark].samples);
      evaluation->set_count(1);
      // 4, 8, ... seconds after the start at the first server, one second later at the second.
      const int64_t since_start = (4 + 4 * static_cast<int64_t>(mark) + process) * second;
      server->add_mark_ns((process == 0 ? 12 : 502) * second + since_start);
    }
    TrainingPause* pause = worker->add_pauses();
    pause->set_begin_ns(6 * second);
    pause->set_duration_ns(2 * second);
  }
  FillRecord(reports, &record);
  ASSERT_EQ(First(record).evaluations_size(), 4);
  const double expected[] = {5, 7, 11, 15};
  for (int mark = 0; mark < 4; ++mark)
    EXPECT_EQ(First(record).evaluations(mark).seconds(), expected[mark]) << mark;
  EXPECT_EQ(record.reports(1).servers(0).mark_ns_size(), 0);
  EXPECT_EQ(First(record).pauses_size(), 0);
}

TEST(Marks, ARunThatGoesOnFromAStateScoresTheLaterMarksAlone) {
  for (const std::string& arm : {std::string("ring"), std::string("ps-sharded")}) {
    const RunRecord whole = RunInProcess(SpecOf(arm, 2, kSteps, true));
    ClusterState middle;
    RunSeams ends;
    ends.end = &middle;
    ASSERT_EQ(RunInProcess(SpecOf(arm, 2, 3, true), ends).status(), "ok");
    RunSeams goes_on;
    goes_on.from = &middle;
    const RunRecord rest = RunInProcess(SpecOf(arm, 2, kSteps, true), goes_on);
    ASSERT_EQ(rest.status(), "ok") << arm;
    ASSERT_EQ(First(whole).evaluations_size(), 4);
    ASSERT_EQ(First(rest).evaluations_size(), 3) << arm;
    for (int mark = 0; mark < 3; ++mark) {
      const Evaluation& expected = First(whole).evaluations(mark + 1);
      EXPECT_EQ(First(rest).evaluations(mark).samples_seen(), expected.samples_seen());
      EXPECT_EQ(First(rest).evaluations(mark).test_loss(), expected.test_loss());
      EXPECT_GT(First(rest).evaluations(mark).seconds(), 0);
    }
  }
}

}  // namespace
}  // namespace ringmaster
