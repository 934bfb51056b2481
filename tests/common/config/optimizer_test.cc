// What resolving and validation make of `optimizer` and of accumulated batches.
#include <string>
#include <vector>

#include "common/config/describe.h"
#include "common/config/load.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

using ::testing::StartsWith;

// A resolved spec after assignments, made before resolving.
RunSpec Spec(const std::vector<const char*>& assignments) {
  RunSpec spec;
  for (const char* assignment : assignments) {
    const absl::Status status = SetField(assignment, &spec);
    EXPECT_TRUE(status.ok()) << status;
  }
  const auto resolved = Resolve(spec, {"/data", 60000});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

TEST(Resolve, AnAccumulatedStepTakesAsManySamplesAsItHasBatches) {
  const RunSpec spec = Spec({"training.epochs=1", "training.accumulate=4"});
  EXPECT_EQ(GlobalBatch(spec), 256);
  EXPECT_EQ(spec.training().steps(), 235);  // 60000 / 256, rounded up
  RunSpec old = Spec({});
  old.mutable_training()->clear_accumulate();
  EXPECT_EQ(GlobalBatch(old), 64);
}

TEST(Resolve, TheCosineEndsWithTrainingUnlessSaidOtherwise) {
  const RunSpec spec =
      Spec({"training.steps=100", "training.accumulate=2", "optimizer.warmup_samples=1000",
            "optimizer.cosine_schedule.floor=0.5"});
  EXPECT_EQ(spec.optimizer().cosine_schedule().total_samples(), 100 * 128 - 1000);
  EXPECT_EQ(Spec({"optimizer.cosine_schedule.total_samples=77"})
                .optimizer()
                .cosine_schedule()
                .total_samples(),
            77);
  EXPECT_FALSE(Spec({}).optimizer().has_cosine_schedule());
}

TEST(Resolve, EveryOptimizerGetsItsOwnDefaults) {
  EXPECT_EQ(Spec({}).optimizer().learning_rate(), 0.1f);
  EXPECT_EQ(Spec({"optimizer.name=nesterov"}).optimizer().momentum(), 0.9f);
  const OptimizerSpec adamw = Spec({"optimizer.name=adamw"}).optimizer();
  EXPECT_EQ(adamw.learning_rate(), 0.001f);
  EXPECT_EQ(adamw.beta1(), 0.9f);
  EXPECT_EQ(adamw.beta2(), 0.999f);
  EXPECT_EQ(adamw.epsilon(), 1e-8f);
  EXPECT_EQ(adamw.weight_decay(), 0.01f);
  EXPECT_EQ(Spec({"optimizer.name=adam"}).optimizer().weight_decay(), 0.0f);
}

TEST(Resolve, ResolvingAnOptimizerTwiceChangesNothing) {
  for (const char* assignment : {"optimizer.name=nesterov", "optimizer.name=adamw",
                                 "optimizer.cosine_schedule.floor=0.1", "training.accumulate=3"}) {
    const RunSpec once = Spec({assignment});
    const auto twice = Resolve(once, {"/elsewhere", 1});
    ASSERT_TRUE(twice.ok());
    EXPECT_EQ(SerializeRunSpec(*twice), SerializeRunSpec(once)) << assignment;
  }
}

struct Refusal {
  std::vector<const char*> assignments;
  const char* text;
};

class OptimizerRefused : public ::testing::TestWithParam<Refusal> {};

TEST_P(OptimizerRefused, WithFieldValueExpectationAndRemedyInOneLine) {
  const absl::Status status = Validate(Spec(GetParam().assignments), TestNames());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string error(status.message());
  EXPECT_THAT(error, StartsWith(GetParam().text));
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Validate, OptimizerRefused,
    ::testing::Values(
        Refusal{{"optimizer.name=adam", "optimizer.momentum=0.9"},
                "optimizer.momentum = 0.9: \"adam\" has none"},
        Refusal{{"optimizer.name=nesterov", "optimizer.momentum=-1"},
                "optimizer.momentum = -1: expected 0 or more"},
        Refusal{{"optimizer.beta1=0.9"},
                "optimizer.beta1 = 0.9: \"sgd\" has none; only \"adam\" and \"adamw\" do"},
        Refusal{{"optimizer.name=momentum", "optimizer.beta2=0.9"},
                "optimizer.beta2 = 0.9: \"momentum\" has none"},
        Refusal{{"optimizer.name=adamw", "optimizer.beta2=1"},
                "optimizer.beta2 = 1: expected 0 or more and below 1"},
        Refusal{{"optimizer.epsilon=1"}, "optimizer.epsilon = 1: \"sgd\" has none"},
        Refusal{{"optimizer.name=adam", "optimizer.epsilon=0"},
                "optimizer.epsilon = 0: expected a number above 0"},
        Refusal{{"optimizer.weight_decay=-1"}, "optimizer.weight_decay = -1: expected 0 or more"},
        Refusal{{"optimizer.warmup_samples=-1"}, "optimizer.warmup_samples = -1: expected 0 to"},
        Refusal{{"optimizer.step_schedule.every_samples=9", "optimizer.cosine_schedule.floor=0"},
                "optimizer.cosine_schedule = {...}: optimizer.step_schedule is set too; give one "
                "of them"},
        Refusal{{"optimizer.step_schedule.every_samples=9", "optimizer.step_schedule.factor=1.5"},
                "optimizer.step_schedule.factor = 1.5: expected above 0 and at most 1"},
        Refusal{{"optimizer.cosine_schedule.floor=2"},
                "optimizer.cosine_schedule.floor = 2: expected 0 to 1"},
        Refusal{{"training.steps=5", "optimizer.warmup_samples=320",
                 "optimizer.cosine_schedule.floor=0"},
                "optimizer.cosine_schedule.total_samples = 0: expected 1 to"},
        Refusal{{"optimizer.clip_norm=0"}, "optimizer.clip_norm = 0: expected a number above 0"},
        Refusal{{"optimizer.clip_norm=1", "strategy.parameter_server.servers=2"},
                "optimizer.clip_norm = 1: the norm is that of the whole gradient, and each of 2 "
                "servers sees its part"},
        Refusal{
            {"optimizer.clip_norm=1", "strategy.parameter_server.consistency=ASYNCHRONOUS"},
            "optimizer.clip_norm = 1: the norm is that of the gradient averaged over all workers"},
        Refusal{{"optimizer.name=adamw", "strategy.parameter_server.consistency=SSP"},
                "optimizer.name = \"adamw\": with updates on arrival"},
        Refusal{{"training.accumulate=0"},
                "training.accumulate = 0: expected 1 to 65536; 1 exchanges after every"},
        Refusal{{"training.accumulate=65536", "training.batch_per_worker=1024"},
                "training.workers * training.batch_per_worker * training.accumulate = 134217728: a "
                "global batch of"}));

TEST(Validate, LegalCombinationsOfOptimizerScheduleAndStrategyPass) {
  for (const RunSpec& spec :
       {Spec({"optimizer.name=adam", "strategy.parameter_server.consistency=SSP",
              "optimizer.allow_momentum_on_arrival=true", "optimizer.weight_decay=0.1"}),
        Spec({"optimizer.name=adamw", "optimizer.clip_norm=1", "optimizer.warmup_samples=640",
              "optimizer.cosine_schedule.floor=0.1", "training.accumulate=3"}),
        Spec({"optimizer.name=nesterov", "optimizer.step_schedule.every_samples=9",
              "strategy.parameter_server.servers=2"}),
        Spec({"optimizer.clip_norm=1", "strategy.all_reduce={}"}),
        Spec({"optimizer.clip_norm=1", "strategy.single={}"})}) {
    EXPECT_TRUE(Validate(spec, TestNames()).ok()) << Validate(spec, TestNames());
  }
}

}  // namespace
}  // namespace ringmaster
