// A run that is taken up by new objects at a step has the bits of one that never stopped.

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "tests/support/late_device.h"

namespace ringmaster {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

struct Case {
  std::string arm;
  std::string codec = "none";
  std::string optimizer = "momentum";
  bool device = false;
};

std::string NameOf(const testing::TestParamInfo<Case>& info) {
  std::string name = absl::StrCat(info.param.arm, "_", info.param.codec, "_", info.param.optimizer,
                                  info.param.device ? "_device" : "");
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

RunSpec SpecOf(const Case& of) {
  RunSpec base = SmallSpec(2, false);
  base.mutable_training()->set_steps(10);
  base.mutable_training()->set_warmup_steps(2);
  base.mutable_training()->set_bucket_bytes(1024);
  // Every step is an update.
  base.mutable_strategy()->mutable_parameter_server()->set_local_steps(1);
  base.mutable_model()->set_dropout(0.25f);
  base.clear_optimizer();
  base.mutable_optimizer()->set_name(of.optimizer);
  base.mutable_optimizer()->set_learning_rate(0.02f);
  if (of.device) base.mutable_training()->set_kernels("reference");
  RunSpec spec = ArmOf(of.arm, base);
  spec.mutable_codec()->set_name(of.codec);
  if (of.codec != "none" && of.codec != "fp16") spec.mutable_codec()->set_error_feedback(true);
  if (of.codec == "topk") spec.mutable_codec()->set_density(0.1);
  SetCodecDefaults(spec.mutable_codec());
  return spec;
}

RunSeams SeamsOf(const Case& of) {
  RunSeams seams;
  if (of.device) {
    seams.create_kernels = [](int32_t rank) {
      return std::make_unique<LateDevice>(LateDeviceOptions());
    };
  }
  return seams;
}

// The record of the first `steps` steps.
RunRecord RunSteps(const Case& of, int64_t steps, const ClusterState* from, ClusterState* end) {
  RunSpec spec = SpecOf(of);
  spec.mutable_training()->set_steps(steps);
  RunSeams seams = SeamsOf(of);
  seams.from = from;
  seams.end = end;
  return RunInProcess(spec, seams);
}

class EveryArm : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Resumed, EveryArm,
                         testing::Values(Case{"single"}, Case{"solo", "none", "adam"}, Case{"ring"},
                                         Case{"ring", "topk"}, Case{"ring", "onebit", "adamw"},
                                         Case{"ring", "onebit", "momentum", true}, Case{"ps"},
                                         Case{"ps-sharded", "onebit", "adam"},
                                         Case{"ps-sharded", "topk"},
                                         Case{"sharded-optimizer", "none", "adam"},
                                         Case{"ps", "onebit", "momentum", true}),
                         NameOf);

TEST_P(EveryArm, TenStepsAreFiveAndFiveMore) {
  const RunRecord whole = RunSteps(GetParam(), 10, nullptr, nullptr);
  ASSERT_EQ(whole.status(), "ok");
  ClusterState middle;
  ASSERT_EQ(RunSteps(GetParam(), 5, nullptr, &middle).status(), "ok");
  const RunRecord rest = RunSteps(GetParam(), 10, &middle, nullptr);
  ASSERT_EQ(rest.status(), "ok");
  ASSERT_EQ(rest.reports(0).workers_size(), whole.reports(0).workers_size());
  for (int rank = 0; rank < whole.reports(0).workers_size(); ++rank) {
    const WorkerReport& expected = whole.reports(0).workers(rank);
    const WorkerReport& resumed = rest.reports(0).workers(rank);
    EXPECT_EQ(resumed.weights_sha256(), expected.weights_sha256()) << "worker/" << rank;
    EXPECT_EQ(resumed.final_loss(), expected.final_loss());
    ASSERT_EQ(resumed.step_loss_size(), 5);
    for (int step = 0; step < 5; ++step)
      EXPECT_EQ(resumed.step_loss(step), expected.step_loss(5 + step)) << step;
  }
}

// Whoever leaves the memory of error feedback, or the optimizer's arrays, behind, ends elsewhere.
TEST(Resumed, WithoutAPartOfTheStateTheBitsAreOthers) {
  const Case of{"ring", "onebit"};
  const RunRecord whole = RunSteps(of, 10, nullptr, nullptr);
  ClusterState middle;
  ASSERT_EQ(RunSteps(of, 5, nullptr, &middle).status(), "ok");
  for (const char* part : {"strategy/residual", "replica/rule/velocity"}) {
    ClusterState forgetful = middle;
    for (State& state : forgetful.workers) {
      State without;
      for (const State::Entry& entry : state.entries()) {
        if (const auto* floats = std::get_if<std::vector<float>>(&entry.value)) {
          without.AddFloats(entry.name,
                            entry.name == part ? std::vector<float>(floats->size()) : *floats);
        } else {
          without.AddInteger(entry.name, std::get<int64_t>(entry.value));
        }
      }
      state = without;
    }
    const RunRecord rest = RunSteps(of, 10, &forgetful, nullptr);
    ASSERT_EQ(rest.status(), "ok") << part;
    EXPECT_NE(rest.reports(0).workers(0).weights_sha256(),
              whole.reports(0).workers(0).weights_sha256())
        << part;
  }
}

TEST(Resumed, AStateOfAnotherStepOrAnotherArmIsRefused) {
  ClusterState middle;
  ASSERT_EQ(RunSteps({"ring", "onebit"}, 5, nullptr, &middle).status(), "ok");
  EXPECT_THAT(RunSteps({"ring"}, 10, &middle, nullptr).status(), HasSubstr("residual"));
  middle.step = 4;
  EXPECT_THAT(RunSteps({"ring", "onebit"}, 10, &middle, nullptr).status(),
              HasSubstr("state: it is that of step 5, and the run begins at step 4"));
}

// Under bounded staleness the bits depend on who comes first; what each has pushed and where the
// clocks stand does not.
TEST(Resumed, StaleArmsGoOnWithTheirClocks) {
  const auto is_stale = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && arm.traits.updates == Updates::kOnArrival && arm.codec.exact;
  };
  for (const std::string& arm : ArmsThat(is_stale)) {
    ClusterState middle, end;
    ASSERT_EQ(RunSteps({arm}, 5, nullptr, &middle).status(), "ok") << arm;
    ASSERT_EQ(RunSteps({arm}, 10, &middle, &end).status(), "ok") << arm;
    const bool claims = TraitsOf(SpecOf({arm})).work == Work::kClaimed;
    for (const State::Entry& entry : end.servers[0].entries()) {
      if (entry.name != "versions" && entry.name != "applied") continue;
      const auto& counts = std::get<std::vector<int64_t>>(entry.value);
      if (claims && entry.name == "applied") {
        // By worker and part: two workers have made 20 steps together.
        const size_t parts = counts.size() / 2;
        for (size_t part = 0; part < parts; ++part)
          EXPECT_EQ(counts[part] + counts[parts + part], 20) << arm << " part " << part;
        continue;
      }
      EXPECT_THAT(counts, Each(entry.name == "versions" ? 20 : 10)) << arm << " " << entry.name;
    }
  }
}

}  // namespace
}  // namespace ringmaster
