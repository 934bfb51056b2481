// What servers can do besides: which settings are refused, and with which one sentence.
#include <functional>
#include <string>
#include <utility>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

using Change = std::function<void(ParameterServerSpec*)>;

// What is wrong with the arm's strategy of four workers after `change`, a line each.
std::string ProblemsOf(const char* arm, const Change& change) {
  RunSpec base;
  base.mutable_training()->set_workers(4);
  base.mutable_training()->set_steps(1);
  RunSpec spec = *MakeArm(arm, base);
  change(spec.mutable_strategy()->mutable_parameter_server());
  spec = *Resolve(std::move(spec), {});
  Problems problems;
  CheckStrategy(spec, &problems);
  return std::string(problems.ToStatus().message());
}

struct Wrong {
  const char* arm;
  Change change;
  const char* text;
};

TEST(ServerSettings, EachWrongOneIsOneErrorThatSaysWhatToTakeInstead) {
  const Wrong wrongs[] = {
      {"ps", [](ParameterServerSpec* ps) { ps->set_backup_workers(4); },
       "backup_workers = 4: of 4 workers at least one must be waited for; expected 0 to 3"},
      {"ps", [](ParameterServerSpec* ps) { ps->set_backup_workers(-1); }, "expected 0 to 3"},
      {"async", [](ParameterServerSpec* ps) { ps->set_backup_workers(1); },
       "leave it out, or use consistency BSP"},
      {"async", [](ParameterServerSpec* ps) { ps->set_local_steps(0); },
       "local_steps = 0: expected 1 to 1048576; leave it out to push every gradient"},
      {"ps", [](ParameterServerSpec* ps) { ps->set_local_steps(4); },
       "leave it out, or use consistency ASYNCHRONOUS"},
      {"ssp", [](ParameterServerSpec* ps) { ps->set_local_steps(4); },
       "leave it out, or use consistency ASYNCHRONOUS"},
      {"dc-async", [](ParameterServerSpec* ps) { ps->mutable_down_codec()->set_name("topk"); },
       "with down_codec these are not what the server had; leave one of them out"},
      {"geo", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation(); },
       "with local_steps none is pushed"},
      {"ps", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation(); },
       "under BSP no gradient is late"},
      {"async", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation()->set_lambda(-0.1); },
       "lambda = -0.1: expected 0 to "},
      {"async", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation()->set_decay(0.9); },
       "only an adaptive lambda needs"},
      {"dc-async", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation()->set_decay(1); },
       "decay = 1: expected at least 0 and below 1"},
  };
  for (const Wrong& wrong : wrongs) {
    const std::string text = ProblemsOf(wrong.arm, wrong.change);
    EXPECT_THAT(text, HasSubstr(wrong.text));
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(ServerSettings, WhatIsLegalIsNoError) {
  EXPECT_EQ(ProblemsOf("ps", [](ParameterServerSpec* ps) { ps->set_backup_workers(3); }), "");
  EXPECT_EQ(ProblemsOf("ps", [](ParameterServerSpec* ps) { ps->set_backup_workers(0); }), "");
  EXPECT_EQ(ProblemsOf("ssp", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation(); }),
            "");
  EXPECT_EQ(ProblemsOf("geo", [](ParameterServerSpec* ps) { ps->set_local_steps(1); }), "");
  const auto encodes = [](ParameterServerSpec* ps) { ps->mutable_down_codec()->set_name("topk"); };
  for (const ArmInfo& arm : Arms()) {
    const RunSpec spec = *MakeArm(arm.name, RunSpec());
    if (!spec.strategy().has_parameter_server()) continue;
    const bool compensates = spec.strategy().parameter_server().has_delay_compensation();
    EXPECT_EQ(ProblemsOf(arm.name, encodes).empty(), !compensates) << arm.name;
  }
  EXPECT_EQ(ProblemsOf("dc-async",
                       [](ParameterServerSpec* ps) { ps->mutable_down_codec()->set_name("none"); }),
            "");
}

TEST(ServerSettings, AFileOfBatchesNeedsThatNoStepIsSkipped) {
  RunSpec base;
  base.mutable_training()->set_workers(4);
  base.mutable_training()->set_steps(1);
  base.mutable_output()->set_dump_batches("folder");
  const RunSpec spec = *Resolve(*MakeArm("backup", base), {});
  Problems problems;
  CheckStrategy(spec, &problems);
  EXPECT_THAT(std::string(problems.ToStatus().message()), HasSubstr("set backup_workers=0"));
}

TEST(ServerSettings, LambdaAndDecayHaveThePapersValuesWhereTheyAreLeftOut) {
  RunSpec base;
  base.mutable_training()->set_workers(4);
  base.mutable_training()->set_steps(1);
  const auto of = [&](const char* arm, const Change& change) {
    RunSpec spec = *MakeArm(arm, base);
    change(spec.mutable_strategy()->mutable_parameter_server());
    return Resolve(std::move(spec), {})->strategy().parameter_server().delay_compensation();
  };
  const auto adaptive = of("dc-async", [](ParameterServerSpec*) {});
  EXPECT_TRUE(adaptive.adaptive());
  EXPECT_EQ(adaptive.lambda(), 2);
  EXPECT_EQ(adaptive.decay(), 0.95);
  const auto constant =
      of("async", [](ParameterServerSpec* ps) { ps->mutable_delay_compensation(); });
  EXPECT_EQ(constant.lambda(), 0.04);
  EXPECT_FALSE(constant.has_decay());
}

}  // namespace
}  // namespace ringmaster
