// A run that loses workers, and whose group is formed anew, ends with the bits of the workers left,
// which go on from the step that all had with the batches of a run that has lost nobody.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/config/describe.h"
#include "common/config/validate.h"
#include "common/control/coordinator.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/losses.h"
#include "experiments/program/run/node.h"
#include "experiments/program/run/run_arm.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "server/shard_core.h"
#include "tests/common/config/known_names.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr int64_t kSteps = 60;
constexpr int32_t kWorkers = 4;

// Four workers whose global batch three and two can share, with a mark in every seventh step.
RunSpec SpecOf(const std::string& arm, const std::string& codec = "") {
  RunSpec base = SmallSpec(kWorkers, false);
  TrainingSpec* const training = base.mutable_training();
  training->set_batch_per_worker(12);
  training->set_steps(kSteps);
  training->set_warmup_steps(2);
  training->set_bucket_bytes(1024);
  training->set_evaluate_every_samples(7 * 4 * 12);
  base.mutable_model()->set_dropout(0.25f);
  base.clear_optimizer();
  base.mutable_optimizer()->set_name("momentum");
  base.mutable_optimizer()->set_learning_rate(0.02f);
  // So that there is time to lose somebody.
  SlowdownSpec* const slow = training->add_slowdowns();
  for (int32_t rank = 0; rank < kWorkers; ++rank) slow->add_ranks(rank);
  slow->mutable_random()->set_probability(1);
  slow->mutable_random()->set_milliseconds(2);
  base.mutable_limits()->set_heartbeat_seconds(0.01);
  base.mutable_transport()->set_name("tcp");
  base.mutable_strategy()->set_on_failure(StrategySpec::REFORM);
  RunSpec spec = ArmOf(arm, base);
  if (!codec.empty()) ChooseCodec(codec, spec.mutable_codec());
  return spec;
}

// Who is lost when it is at this step, or later.
struct PlannedLoss {
  int32_t process = 0;
  int64_t step = 0;
};

// The run of real nodes, each a thread here, under a coordinator that is told that some have ended.
RunRecord Play(const RunSpec& spec, const std::vector<PlannedLoss>& losses) {
  RunRecord record = NewRecord(spec);
  auto coordinator =
      Coordinator::Start(CoordinatorOptionsOf(spec, {"127.0.0.1", 0}, {"a token", nullptr}));
  EXPECT_TRUE(coordinator.ok()) << coordinator.status();
  std::vector<std::thread> nodes;
  for (int32_t process = 0; process < TraitsOf(spec).processes; ++process) {
    nodes.emplace_back([&, process] {
      NodeOptions options;
      options.process = process;
      options.coordinator = (*coordinator)->endpoint();
      options.credentials.token = "a token";
      // Its status is the run's, or that it is lost.
      RunNode(spec, options).IgnoreError();
    });
  }
  for (const PlannedLoss& loss : losses) {
    const auto is_there = [&] {
      const std::vector<ProcessState> states = (*coordinator)->Processes();
      return std::all_of(states.begin(), states.end(),
                         [](const ProcessState& state) { return state.joined; }) &&
             states[loss.process].last.step() >= loss.step;
    };
    const MonotonicTime limit = MonotonicNow() + Patience(20);
    while (!is_there() && MonotonicNow() < limit &&
           !(*coordinator)->WaitFor(absl::Milliseconds(1))) {
    }
    EXPECT_TRUE(is_there());
    (*coordinator)->NoteEnd(loss.process, "a rank", "signal 9 (Killed)");
  }
  EXPECT_TRUE((*coordinator)->WaitFor(Patience(60)));
  for (std::thread& node : nodes) node.join();
  FillRecord((*coordinator)->Result(), &record);
  FillLosses((*coordinator)->Losses(), &record);
  return record;
}

RunSpec InProcess(RunSpec spec) {
  spec.mutable_training()->clear_slowdowns();
  spec.mutable_strategy()->set_on_failure(StrategySpec::ABORT);
  return spec;
}

// What the record must have: of the run until each loss and of those left from there.
struct Expected {
  std::string weights_sha256;
  std::vector<std::vector<float>> losses;  // by rank of the last formation, then by step
};

std::vector<float> LossesOf(const RunRecord& record, int rank) {
  const auto& losses = record.reports(0).workers(rank).step_loss();
  return {losses.begin(), losses.end()};
}

// The ranks that go on when a node is lost, and are numbered anew; `first`: what each was called at
// first, as losses call them.
std::vector<int32_t> Left(const Loss& loss, std::vector<int32_t>* first) {
  std::vector<int32_t> left, names;
  for (size_t rank = 0; rank < first->size(); ++rank) {
    if (loss.nodes(0) == absl::StrCat("worker/", (*first)[rank])) continue;
    left.push_back(static_cast<int32_t>(rank));
    names.push_back((*first)[rank]);
  }
  *first = names;
  return left;
}

Expected ExpectedOf(const RunSpec& given, const RunRecord& record) {
  RunSpec spec = InProcess(given);
  ClusterState state;
  bool has_state = false;
  Expected expected;
  expected.losses.resize(spec.training().workers());
  const auto run_until = [&](int64_t end) {
    RunSpec part = spec;
    part.mutable_training()->set_steps(end);
    ClusterState at_end;
    RunSeams seams;
    seams.from = has_state ? &state : nullptr;
    seams.end = &at_end;
    const RunRecord ran = RunInProcess(part, seams);
    EXPECT_EQ(ran.status(), "ok");
    for (size_t rank = 0; rank < expected.losses.size(); ++rank) {
      const std::vector<float> more = LossesOf(ran, static_cast<int>(rank));
      expected.losses[rank].insert(expected.losses[rank].end(), more.begin(), more.end());
    }
    expected.weights_sha256 = ran.reports(0).workers(0).weights_sha256();
    state = std::move(at_end);
    has_state = true;
  };
  std::vector<int32_t> first(expected.losses.size());
  std::iota(first.begin(), first.end(), 0);
  for (const Loss& loss : record.losses()) {
    if (loss.resumed_step() > 0 && (!has_state || loss.resumed_step() > state.step))
      run_until(loss.resumed_step());
    const int32_t before = spec.training().workers();
    const std::vector<int32_t> left = Left(loss, &first);
    std::vector<State> workers;
    std::vector<std::vector<float>> losses;
    for (const int32_t rank : left) {
      if (has_state) workers.push_back(state.workers[rank]);
      losses.push_back(expected.losses[rank]);
    }
    state.workers = std::move(workers);
    expected.losses = std::move(losses);
    for (State& server : state.servers) {
      auto of_left = ShardStateOf(left, before, server);
      EXPECT_TRUE(of_left.ok()) << of_left.status();
      server = *std::move(of_left);
    }
    spec = *ReformedSpec(spec, left);
  }
  run_until(kSteps);
  return expected;
}

void ExpectGoesOn(const RunSpec& spec, const std::vector<PlannedLoss>& losses) {
  const RunRecord record = Play(spec, losses);
  ASSERT_EQ(record.status(), "ok");
  ASSERT_EQ(record.losses_size(), static_cast<int>(losses.size()));
  for (const Loss& loss : record.losses()) {
    EXPECT_TRUE(loss.reformed());
    EXPECT_EQ(loss.how(), "signal 9 (Killed)");
    EXPECT_LE(loss.resumed_step(), loss.step());
    EXPECT_GT(loss.recovery_seconds(), 0);
  }
  const Expected expected = ExpectedOf(spec, record);
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  }
  ASSERT_EQ(workers.size(), kWorkers - losses.size());
  for (size_t rank = 0; rank < workers.size(); ++rank) {
    EXPECT_EQ(workers[rank]->rank(), static_cast<int>(rank));
    EXPECT_EQ(workers[rank]->weights_sha256(), expected.weights_sha256);
    const std::vector<float> own(workers[rank]->step_loss().begin(),
                                 workers[rank]->step_loss().end());
    EXPECT_EQ(own, expected.losses[rank]);
    EXPECT_EQ(workers[rank]->step_ms_size(), kSteps);
  }
  // No mark is lost, and time goes on from each to the next.
  const std::vector<SampleMark> marks = SampleMarks(spec);
  ASSERT_EQ(workers[0]->evaluations_size(), static_cast<int>(marks.size()));
  for (size_t mark = 0; mark < marks.size(); ++mark) {
    const Evaluation& scored = workers[0]->evaluations(static_cast<int>(mark));
    EXPECT_EQ(scored.samples_seen(), marks[mark].samples);
    EXPECT_GT(scored.test_loss(), 0);
    EXPECT_GT(scored.seconds(),
              mark == 0 ? 0 : workers[0]->evaluations(static_cast<int>(mark) - 1).seconds());
  }
}

bool MayLoseOne(const ArmUnderTest& arm) {
  if (!RunsEverywhere(arm) || !arm.traits.may_reform || arm.spec.strategy().launch() == THREADS)
    return false;
  return Validate(SpecOf(arm.name), TestNames()).ok();
}

TEST(Reformed, EveryArmThatMayGoesOnToTheBitsOfTheWorkersLeft) {
  const std::vector<std::string> arms = ArmsThat(MayLoseOne);
  EXPECT_GE(arms.size(), 4u);
  for (const std::string& arm : arms) {
    SCOPED_TRACE(arm);
    ExpectGoesOn(SpecOf(arm), {{1, 15}});
  }
}

TEST(Reformed, MemoriesOfCodecsGoOnToo) {
  for (const char* arm : {"ring", "ps"}) {
    SCOPED_TRACE(arm);
    ExpectGoesOn(SpecOf(arm, "topk"), {{2, 15}});
  }
}

TEST(Reformed, OneLossFollowsAnother) {
  ExpectGoesOn(SpecOf("ring"), {{1, 12}, {3, 35}});
  ExpectGoesOn(SpecOf("ps"), {{3, 12}, {2, 35}});
}

TEST(Reformed, AtAnyMomentAlsoBeforeTheFirstStep) {
  ExpectGoesOn(SpecOf("ring"), {{2, 0}});
  ExpectGoesOn(SpecOf("ring"), {{3, 0}, {1, 0}});
}

TEST(Reformed, TheLastStepIsMadeAgainAndWhoIsLostWhenAllIsDoneIsNotMissed) {
  ExpectGoesOn(SpecOf("ring"), {{3, kSteps - 2}});
}

}  // namespace
}  // namespace ringmaster
