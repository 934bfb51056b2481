#include <string>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

RunSpec Given() {
  RunSpec spec;
  ProgramModelSpec* const program = spec.mutable_model()->mutable_program();
  for (const char* name : {"fc.weight", "fc.bias"}) {
    TensorSpec* const tensor = program->add_tensors();
    tensor->set_name(name);
    tensor->add_shape(4);
  }
  spec.mutable_data()->mutable_program()->set_train_samples(100);
  return spec;
}

// What is wrong with the arm of `spec`.
std::string ProblemsOf(const RunSpec& spec, const std::string& arm = "ring") {
  const auto resolved = Resolve(*MakeArm(arm, spec), {"/data", 100});
  return std::string(Validate(*resolved, TestNames()).message());
}

TEST(ValidateProgram, OneThatSaysItsTensorsAndSamplesIsRight) {
  EXPECT_EQ(ProblemsOf(Given()), "");
  EXPECT_EQ(ProblemsOf(Given(), "single"), "");
  EXPECT_EQ(ProblemsOf(Given(), "async"), "");
}

TEST(ValidateProgram, ItsNamesAndKernelsFollow) {
  const RunSpec resolved = *Resolve(Given(), {"/data", 100});
  EXPECT_EQ(resolved.model().name(), "program");
  EXPECT_EQ(resolved.data().name(), "program");
  EXPECT_EQ(resolved.training().kernels(), "reference");
}

TEST(ValidateProgram, TensorsHaveNamesOfTheirOwnAndShapesThatFit) {
  RunSpec spec = Given();
  spec.mutable_model()->mutable_program()->mutable_tensors(1)->set_name("fc.weight");
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("no two of which are the same"));
  spec = Given();
  spec.mutable_model()->mutable_program()->mutable_tensors(1)->set_shape(0, 0);
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("\"fc.bias\" = 0: expected extents of at least 1"));
  spec = Given();
  for (int i = 0; i < 3; ++i)
    spec.mutable_model()->mutable_program()->mutable_tensors(0)->add_shape(int64_t{1} << 30);
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("2^38 elements together at most"));
  spec = Given();
  spec.mutable_model()->mutable_program()->clear_tensors();
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("model.program.tensors"));
}

TEST(ValidateProgram, ModelAndDataGoTogether) {
  RunSpec spec = Given();
  spec.mutable_data()->set_name("synthetic");
  EXPECT_THAT(ProblemsOf(spec),
              HasSubstr("data.name = \"synthetic\": a program trains on samples"));
  spec = Given();
  spec.mutable_model()->set_name("mlp");
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("model.name = \"mlp\": a program trains on samples"));
}

TEST(ValidateProgram, WhatAProgramDoesItselfIsLeftToIt) {
  RunSpec spec = Given();
  spec.mutable_training()->set_kernels("cpu");
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("training.kernels = \"cpu\""));
  spec = Given();
  spec.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("training.emulated_compute"));
  EXPECT_THAT(ProblemsOf(Given(), "dp"), HasSubstr("strategy.launch = THREADS"));
  spec = Given();
  spec.mutable_strategy()->set_on_failure(StrategySpec::REFORM);
  EXPECT_THAT(ProblemsOf(spec), HasSubstr("strategy.on_failure = REFORM"));
}

TEST(ValidateProgram, RunningStatisticsNeedTheMeanOfAll) {
  RunSpec spec = Given();
  spec.mutable_model()->mutable_program()->mutable_tensors(1)->set_name("bn.running_mean");
  EXPECT_EQ(ProblemsOf(spec), "");
  EXPECT_THAT(ProblemsOf(spec, "async"), HasSubstr("bn.running_mean"));
}

}  // namespace
}  // namespace ringmaster
