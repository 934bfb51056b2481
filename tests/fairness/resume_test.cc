// A run that is taken up by new objects at a step has the bits of one that never stopped.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "tests/support/late_device.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMiddle = 5;

struct Case {
  std::string arm;
  std::string codec;  // empty: the arm's own
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
  if (DescribeArm(of.arm).codec.in_rounds)
    base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  RunSpec spec = ArmOf(of.arm, base);
  ExchangeOften(&spec);
  if (of.codec.empty()) return spec;
  spec.mutable_codec()->set_name(of.codec);
  spec.mutable_codec()->set_error_feedback(true);
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
RunRecord RunSteps(const Case& of, int64_t steps, const ClusterState* from, ClusterState* end,
                   const StrategyFactory& create = nullptr) {
  RunSpec spec = SpecOf(of);
  spec.mutable_training()->set_steps(steps);
  RunSeams seams = SeamsOf(of);
  seams.create_strategy = create;
  seams.from = from;
  seams.end = end;
  return RunInProcess(spec, seams);
}

// Where gradients come together, all of them, what follows does not depend on who is first.
bool IsRepeatable(const ArmUnderTest& arm) {
  return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether &&
         arm.traits.backup_workers == 0;
}

// All arms, and some with what few arms have: other optimizers, codecs that remember, devices.
std::vector<Case> Cases() {
  std::vector<Case> cases = {{"solo", "", "adam"},
                             {"ring", "topk"},
                             {"ring", "onebit", "adamw"},
                             {"ring", "onebit", "momentum", true},
                             {"sharded-optimizer", "", "adam", true},
                             {"local-sgd", "", "adamw", true},
                             {"ps-sharded", "onebit", "adam"},
                             {"ps-sharded", "topk"},
                             {"sharded-optimizer", "", "adam"},
                             {"ps", "onebit", "momentum", true}};
  for (const std::string& arm : ArmsThat(IsRepeatable)) cases.push_back({arm});
  return cases;
}

// Drains after the step before kMiddle too, as a run does that ends there: what a drain moves is
// moved in both.
class DrainsInTheMiddle : public ForwardingStrategy {
 public:
  using ForwardingStrategy::ForwardingStrategy;
  absl::Status EndStep(int64_t step) override {
    const absl::Status ended = real_->EndStep(step);
    return ended.ok() && step + 1 == kMiddle ? real_->Drain() : ended;
  }
};

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateDraining(const WorkerLink& link) {
  absl::StatusOr<std::unique_ptr<SyncStrategy>> real = CreateStrategy(link);
  if (!real.ok()) return real.status();
  return std::make_unique<DrainsInTheMiddle>(*std::move(real));
}

class EveryArm : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Resumed, EveryArm, testing::ValuesIn(Cases()), NameOf);

TEST_P(EveryArm, TenStepsAreFiveAndFiveMore) {
  const RunRecord whole = RunSteps(GetParam(), 10, nullptr, nullptr, CreateDraining);
  ASSERT_EQ(whole.status(), "ok");
  ClusterState middle;
  ASSERT_EQ(RunSteps(GetParam(), kMiddle, nullptr, &middle).status(), "ok");
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

// The floats of workers that have any, beside the weights: what codecs, strategies and optimizers
// remember.
std::set<std::string> PartsOf(const ClusterState& state) {
  std::set<std::string> parts;
  for (const State& worker : state.workers) {
    for (const State::Entry& entry : worker.entries()) {
      const auto* floats = std::get_if<std::vector<float>>(&entry.value);
      if (floats == nullptr || entry.name == "replica/weights") continue;
      if (std::any_of(floats->begin(), floats->end(), [](float value) { return value != 0; }))
        parts.insert(entry.name);
    }
  }
  return parts;
}

// With zeros in the place of one part.
State WithoutPart(const State& state, const std::string& part) {
  State without;
  for (const State::Entry& entry : state.entries()) {
    if (const auto* floats = std::get_if<std::vector<float>>(&entry.value)) {
      without.AddFloats(entry.name,
                        entry.name == part ? std::vector<float>(floats->size()) : *floats);
    } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&entry.value)) {
      without.AddIntegers(entry.name, *integers);
    } else {
      without.AddInteger(entry.name, std::get<int64_t>(entry.value));
    }
  }
  return without;
}

TEST_P(EveryArm, WithoutAPartOfTheStateTheBitsAreOthers) {
  ClusterState middle;
  ASSERT_EQ(RunSteps(GetParam(), kMiddle, nullptr, &middle).status(), "ok");
  const RunRecord rest = RunSteps(GetParam(), 10, &middle, nullptr);
  for (const std::string& part : PartsOf(middle)) {
    ClusterState forgetful = middle;
    for (State& state : forgetful.workers) state = WithoutPart(state, part);
    const RunRecord other = RunSteps(GetParam(), 10, &forgetful, nullptr);
    ASSERT_EQ(other.status(), "ok") << part;
    EXPECT_NE(other.reports(0).workers(0).weights_sha256(),
              rest.reports(0).workers(0).weights_sha256())
        << part;
  }
}

TEST(Resumed, WhatIsRememberedIsPartOfTheState) {
  const auto parts = [](const Case& of) {
    ClusterState middle;
    EXPECT_EQ(RunSteps(of, kMiddle, nullptr, &middle).status(), "ok");
    return PartsOf(middle);
  };
  EXPECT_THAT(parts({"ring", "onebit"}), ElementsAre("replica/rule/velocity", "strategy/residual"));
  EXPECT_THAT(parts({"diloco"}),
              ElementsAre("replica/rule/velocity", "strategy/last", "strategy/rule/velocity"));
}

TEST(Resumed, AStateOfAnotherStepOrAnotherArmIsRefused) {
  ClusterState middle;
  ASSERT_EQ(RunSteps({"ring", "onebit"}, 5, nullptr, &middle).status(), "ok");
  EXPECT_THAT(RunSteps({"ring"}, 10, &middle, nullptr).status(), HasSubstr("residual"));
  middle.step = 4;
  EXPECT_THAT(RunSteps({"ring", "onebit"}, 10, &middle, nullptr).status(),
              HasSubstr("state: it is that of step 5, and the run begins at step 4"));
}

// Where the bits depend on who comes first, what each has pushed and where the clocks stand does
// not.
TEST(Resumed, AllOtherArmsGoOnWithTheirClocks) {
  const auto is_other = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && !IsRepeatable(arm);
  };
  for (const std::string& arm : ArmsThat(is_other)) {
    ClusterState middle, end;
    ASSERT_EQ(RunSteps({arm}, 5, nullptr, &middle).status(), "ok") << arm;
    ASSERT_EQ(RunSteps({arm}, 10, &middle, &end).status(), "ok") << arm;
    const SchemeTraits traits = TraitsOf(SpecOf({arm}));
    const bool claims = traits.work == Work::kClaimed;
    const int64_t updates = traits.updates == Updates::kTogether ? 10 : 20;
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
      EXPECT_THAT(counts, Each(entry.name == "versions" ? updates : 10))
          << arm << " " << entry.name;
    }
  }
}

}  // namespace
}  // namespace ringmaster
