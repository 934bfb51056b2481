// A run that is stopped after a checkpoint and goes on from its files ends with the bits, and with
// the record, of the run that made them and never stopped.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/run_checkpoints.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;

constexpr int64_t kSteps = 12;
constexpr int64_t kEvery = 4;

struct Case {
  std::string arm;
  std::string codec;  // empty: the arm's own
  std::string optimizer = "momentum";
  int32_t workers = 2;
};

std::string NameOf(const testing::TestParamInfo<Case>& info) {
  std::string name = absl::StrCat(info.param.arm, "_", info.param.codec, "_", info.param.optimizer,
                                  "_", info.param.workers);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// Kept in a folder of its own.
RunSpec SpecOf(const Case& of) {
  RunSpec base = SmallSpec(of.workers, false);
  TrainingSpec* const training = base.mutable_training();
  training->set_steps(kSteps);
  training->set_warmup_steps(2);
  training->set_bucket_bytes(1024);
  training->set_checkpoint_every_steps(kEvery);
  // A mark in nearly every step.
  training->set_evaluate_every_samples(of.workers * training->batch_per_worker() * 3 / 2);
  base.mutable_model()->set_dropout(0.25f);
  base.clear_optimizer();
  base.mutable_optimizer()->set_name(of.optimizer);
  base.mutable_optimizer()->set_learning_rate(0.02f);
  if (DescribeArm(of.arm).codec.in_rounds) training->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  base.mutable_output()->set_checkpoints(NewFolder("checkpoints"));
  base.mutable_output()->set_checkpoints_kept(3);
  RunSpec spec = ArmOf(of.arm, base);
  ExchangeOften(&spec);
  if (of.codec.empty()) return spec;
  ChooseCodec(of.codec, spec.mutable_codec());
  return spec;
}

// Goes on from the checkpoint of `step`, the newer ones being lost with the run that made them.
RunRecord GoOn(RunSpec spec, int64_t step) {
  const std::string& folder = spec.output().checkpoints();
  for (const int64_t kept : CheckpointSteps(folder)) {
    if (kept > step) std::filesystem::remove_all(CheckpointStepFolder(folder, kept));
  }
  EXPECT_THAT(ResumeFromNewest(&spec), IsEmpty());
  EXPECT_EQ(spec.output().resume_step(), step);
  return RunInProcess(spec);
}

bool IsRepeatable(const ArmUnderTest& arm) {
  return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether &&
         arm.traits.backup_workers == 0;
}

// By default, or because it has a memory of its own.
bool Remembers(const CodecInfo& codec) {
  return codec.traits.feedback_by_default || codec.traits.memory_floats > 0;
}

// All arms; all codecs that remember, between workers and to servers; each with two and with four
// workers. And some with what few arms have: other optimizers.
std::vector<Case> Cases() {
  std::vector<Case> cases = {{"ring", "onebit", "adamw"},
                             {"ps-sharded", "onebit", "adam"},
                             {"sharded-optimizer", "", "adam"},
                             {"sharded-optimizer", "", "adam", 4}};
  for (const std::string& arm : ArmsThat(IsRepeatable)) {
    cases.push_back({arm});
    cases.push_back({arm, "", "momentum", 4});
  }
  for (const std::string& codec : CodecsThat(Remembers)) {
    for (const char* arm : {"ring", "ps-sharded"}) {
      cases.push_back({arm, codec, "sgd"});
      cases.push_back({arm, codec, "sgd", 4});
    }
  }
  return cases;
}

class EveryArm : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Checkpointed, EveryArm, testing::ValuesIn(Cases()), NameOf);

template <typename Numbers>
std::vector<typename Numbers::value_type> All(const Numbers& numbers) {
  return {numbers.begin(), numbers.end()};
}

// But for times, which are no two runs'.
void ExpectSame(const WorkerReport& resumed, const WorkerReport& whole) {
  EXPECT_EQ(resumed.weights_sha256(), whole.weights_sha256());
  EXPECT_EQ(resumed.final_loss(), whole.final_loss());
  EXPECT_EQ(All(resumed.step_loss()), All(whole.step_loss()));
  EXPECT_EQ(All(resumed.batch_log_fingerprints()), All(whole.batch_log_fingerprints()));
  EXPECT_EQ(resumed.batch_set_fingerprint(), whole.batch_set_fingerprint());
  EXPECT_EQ(resumed.step_ms_size(), kSteps);
  // Two more than after any checkpoint: a run that goes on begins anew.
  EXPECT_EQ(resumed.timed_steps(), whole.timed_steps() - 2);
  EXPECT_THAT(All(resumed.untimed_steps()), IsSupersetOf(All(whole.untimed_steps())));
  EXPECT_EQ(resumed.payload_bytes_up(), whole.payload_bytes_up());
  EXPECT_EQ(resumed.payload_bytes_down(), whole.payload_bytes_down());
  EXPECT_EQ(resumed.encoded_bytes_up(), whole.encoded_bytes_up());
  EXPECT_EQ(resumed.index_bytes_up(), whole.index_bytes_up());
  EXPECT_EQ(All(resumed.bucket_collectives()), All(whole.bucket_collectives()));
  ASSERT_EQ(resumed.evaluations_size(), whole.evaluations_size());
  for (int mark = 0; mark < whole.evaluations_size(); ++mark) {
    EXPECT_EQ(resumed.evaluations(mark).samples_seen(), whole.evaluations(mark).samples_seen());
    EXPECT_EQ(resumed.evaluations(mark).test_loss(), whole.evaluations(mark).test_loss());
    EXPECT_EQ(resumed.evaluations(mark).count(), whole.evaluations(mark).count());
    EXPECT_GT(resumed.evaluations(mark).seconds(), 0);
  }
}

TEST_P(EveryArm, GoesOnToTheBitsAndTheRecordOfARunThatNeverStopped) {
  const RunSpec spec = SpecOf(GetParam());
  const RunRecord whole = RunInProcess(spec);
  ASSERT_EQ(whole.status(), "ok");
  ASSERT_THAT(CheckpointSteps(spec.output().checkpoints()), ElementsAre(8, 4));
  for (const int64_t step : {8, 4}) {
    SCOPED_TRACE(absl::StrCat("from step ", step));
    const RunRecord resumed = GoOn(spec, step);
    ASSERT_EQ(resumed.status(), "ok");
    for (int rank = 0; rank < whole.reports(0).workers_size(); ++rank)
      ExpectSame(resumed.reports(0).workers(rank), whole.reports(0).workers(rank));
    for (int index = 0; index < whole.reports(0).servers_size(); ++index) {
      EXPECT_EQ(resumed.reports(0).servers(index).updates(),
                whole.reports(0).servers(index).updates());
    }
  }
}

// Where the bits depend on who comes first the steps, the lots and the updates do not.
TEST(Checkpointed, AllOtherArmsGoOnWithoutALotLostOrComputedTwice) {
  const auto is_other = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && !IsRepeatable(arm);
  };
  for (const std::string& arm : ArmsThat(is_other)) {
    SCOPED_TRACE(arm);
    const RunSpec spec = SpecOf({arm});
    const RunRecord whole = RunInProcess(spec);
    ASSERT_EQ(whole.status(), "ok");
    const RunRecord resumed = GoOn(spec, 4);
    ASSERT_EQ(resumed.status(), "ok");
    uint64_t expected_set = 0, set = 0;
    int64_t steps = 0;
    for (const WorkerReport& worker : whole.reports(0).workers())
      expected_set += worker.batch_set_fingerprint();
    for (const WorkerReport& worker : resumed.reports(0).workers()) {
      set += worker.batch_set_fingerprint();
      steps += worker.step_loss_size() + worker.skipped_steps();
    }
    EXPECT_EQ(steps, 2 * kSteps);
    if (TraitsOf(spec).backup_workers == 0) {
      EXPECT_EQ(set, expected_set);
    }
    // How many pushes for several steps there are depends on who makes how many before a drain.
    if (TraitsOf(spec).local_steps == 0) {
      for (const ServerReport& server : resumed.reports(0).servers())
        EXPECT_EQ(server.updates(), whole.reports(0).servers(0).updates());
    }
    ASSERT_EQ(resumed.reports(0).workers(0).evaluations_size(),
              whole.reports(0).workers(0).evaluations_size());
  }
}

TEST(Checkpointed, AFileOfAnotherRunOrOfOtherStepsIsRefused) {
  RunSpec spec = SpecOf({"ring"});
  ASSERT_EQ(RunInProcess(spec).status(), "ok");
  // Begun anew it would mix with what lies there.
  EXPECT_THAT(RunInProcess(spec).status(),
              HasSubstr("there are checkpoints already, the newest of step 8"));
  RunSpec other = spec;
  other.mutable_training()->set_seed(99);
  EXPECT_THAT(
      ResumeFromNewest(&other),
      testing::AllOf(testing::SizeIs(2),
                     Each(HasSubstr("of another run: training.seed is 1 there and 99 here"))));
  EXPECT_FALSE(other.output().has_resume_step());
  other.mutable_output()->set_resume_step(8);
  EXPECT_THAT(RunInProcess(other).status(), HasSubstr("it is of another run"));
  RunSpec resumed = spec;
  resumed.mutable_output()->set_resume_step(8);
  const NodeId node{Role::kWorker, 0};
  EXPECT_TRUE(RunCheckpoints::Open(resumed, {{node}, false, "token", "read"}).ok());
  EXPECT_THAT(
      std::string(
          RunCheckpoints::Open(resumed, {{node}, false, "token", "others"}).status().message()),
      HasSubstr("it was made with other data"));
  // Another name, limit or place of outputs is no other run.
  RunSpec renamed = spec;
  renamed.set_name("renamed");
  renamed.mutable_limits()->set_wait_seconds(77);
  EXPECT_THAT(ResumeFromNewest(&renamed), IsEmpty());
  EXPECT_EQ(renamed.output().resume_step(), 8);
}

TEST(Checkpointed, ADamagedOneIsNamedAndTheOneBeforeLeadsToTheSameBits) {
  RunSpec spec = SpecOf({"ps"});
  const RunRecord whole = RunInProcess(spec);
  ASSERT_EQ(whole.status(), "ok");
  const std::string torn = CheckpointFile(spec.output().checkpoints(), 8, "server/0");
  std::filesystem::resize_file(torn, std::filesystem::file_size(torn) / 2);
  EXPECT_THAT(ResumeFromNewest(&spec), ElementsAre(HasSubstr(torn)));
  EXPECT_EQ(spec.output().resume_step(), 4);
  const RunRecord resumed = RunInProcess(spec);
  ASSERT_EQ(resumed.status(), "ok");
  ExpectSame(resumed.reports(0).workers(0), whole.reports(0).workers(0));
  // What was torn has been made anew.
  EXPECT_THAT(ResumeFromNewest(&spec), IsEmpty());
  EXPECT_EQ(spec.output().resume_step(), 8);
}

// Standing still between steps changes no bit of an arm whose replicas are equal after every step.
TEST(Checkpointed, ARunWithCheckpointsHasTheBitsOfOneWithout) {
  for (const char* arm : {"ring", "ps", "sharded-optimizer", "single"}) {
    RunSpec spec = SpecOf({arm});
    const RunRecord with = RunInProcess(spec);
    spec.mutable_training()->clear_checkpoint_every_steps();
    spec.clear_output();
    const RunRecord without = RunInProcess(spec);
    ASSERT_EQ(with.status(), "ok") << arm;
    ASSERT_EQ(without.status(), "ok") << arm;
    const WorkerReport& worker = with.reports(0).workers(0);
    EXPECT_EQ(worker.weights_sha256(), without.reports(0).workers(0).weights_sha256()) << arm;
    EXPECT_EQ(worker.checkpoint_ms_size(), 2) << arm;
    EXPECT_THAT(All(worker.untimed_steps()), ElementsAre(4, 8)) << arm;
    EXPECT_EQ(worker.payload_bytes_up(), without.reports(0).workers(0).payload_bytes_up()) << arm;
  }
}

}  // namespace
}  // namespace ringmaster
