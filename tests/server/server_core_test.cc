#include "server/server_core.h"

#include <memory>
#include <string>
#include <vector>

#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Kind = ServerAction::Kind;

constexpr int32_t kParts = 2;

// A server of two workers and two parts, without data: only what it decides.
struct Served {
  explicit Served(ParameterServerSpec::Consistency consistency, int32_t index = 0,
                  int32_t backups = 0) {
    StrategySpec strategy;
    strategy.mutable_parameter_server()->set_consistency(consistency);
    strategy.mutable_parameter_server()->set_backup_workers(backups);
    Create(strategy, index);
  }
  explicit Served(const StrategySpec& strategy) { Create(strategy, 0); }

  void Create(const StrategySpec& strategy, int32_t index) {
    RunSpec spec;
    spec.mutable_training()->set_workers(2);
    *spec.mutable_strategy() = strategy;
    spec.mutable_optimizer()->set_name("sgd");
    spec.mutable_optimizer()->set_learning_rate(1.0f);
    const std::vector<Range> parts(kParts, Range{0, 0});
    core =
        std::make_unique<ServerCore>(ServingPlanOf(spec, index, parts),
                                     *CreateUpdateRule(spec.optimizer(), {0}), absl::Span<float>());
  }

  // "kind worker tag-kind bucket step", a line each.
  std::string Push(int32_t worker, int32_t part, int64_t step, int64_t read_version = 0) {
    std::vector<ServerAction> actions;
    EXPECT_TRUE(core->OnPush({worker, part, step, read_version, {}}, &actions).ok());
    return Text(actions);
  }
  std::string Ask(int32_t worker, const PullNote& request) {
    std::vector<ServerAction> actions;
    EXPECT_TRUE(core->OnRequest(worker, request, &actions).ok());
    return Text(actions);
  }
  static std::string Text(const std::vector<ServerAction>& actions) {
    std::string text;
    for (const ServerAction& action : actions) {
      const char* kind = action.kind == Kind::kExpect   ? "expect"
                         : action.kind == Kind::kReturn ? "return"
                         : action.kind == Kind::kCopy   ? "copy"
                                                        : "send";
      text += std::string(kind) + " " + std::to_string(action.worker) + " " +
              KindName(action.tag.kind) + " " + std::to_string(action.tag.bucket) + " " +
              std::to_string(action.tag.step) + "\n";
    }
    return text;
  }

  std::unique_ptr<ServerCore> core;
};

TEST(ServerCore, UnderBspSendsAnUpdatedPartToAllTheOneBesideItLastAndReturnsItsGradientsFirst) {
  Served served(ParameterServerSpec::BSP, /*index=*/1);
  EXPECT_EQ(served.Push(1, 0, 0), "expect 1 push 0 1\n");
  EXPECT_EQ(served.Push(0, 0, 0),
            "expect 0 push 0 1\nreturn 0 push 0 0\nreturn 1 push 0 0\n"
            "send 0 weights 0 0\nsend 1 weights 0 0\n");
}

TEST(ServerCore, UnderBspAPartIsItsOwnUntilEachMessageWithItHasLeft) {
  Served served(ParameterServerSpec::BSP);
  served.Push(0, 1, 0);
  served.Push(1, 1, 0);
  EXPECT_TRUE(served.core->IsSending(0, 1));
  EXPECT_FALSE(served.core->IsSending(0, 0));
  served.core->OnSent(0, 1);
  EXPECT_FALSE(served.core->IsSending(0, 1));
  EXPECT_TRUE(served.core->IsSending(1, 1));
  std::vector<ServerAction> actions;
  EXPECT_DEATH(served.core->OnPush({1, 1, 1, 1, {}}, &actions).IgnoreError(), "IsSending");
}

TEST(ServerCore, OfElasticAveragingAnswersAPushAtOnceFromACopyAndADrainWithAllThatWasPushed) {
  StrategySpec strategy;
  strategy.mutable_elastic()->set_mode(ElasticSpec::ASYNCHRONOUS);
  strategy.mutable_elastic()->set_alpha(0.5);
  strategy.mutable_elastic()->set_period(2);
  Served served(strategy);
  for (int32_t part = 0; part < kParts; ++part) {
    const std::string p = std::to_string(part);
    EXPECT_EQ(served.Push(1, part, 0), "expect 1 push " + p + " 1\nreturn 1 push " + p +
                                           " 0\ncopy 1 weights " + p + " 0\nsend 1 weights " + p +
                                           " 0\n");
    EXPECT_TRUE(served.core->IsSending(1, part));
    served.core->OnSent(1, part);
  }
  // Its drain waits for what the other pushes in its own first exchange.
  PullNote drain;
  drain.clock = 1;
  drain.drain = true;
  EXPECT_EQ(served.Ask(1, drain), "");
  served.Push(0, 0, 0);
  EXPECT_THAT(served.Push(0, 1, 0),
              testing::HasSubstr("copy 1 pull 0 0\nsend 1 drain 0 0\nsend 1 drain 1 0\nsend 1 "
                                 "pull 0 0\nexpect 1 pull 0 1\n"));
  PullNote pull;
  pull.clock = 1;
  std::vector<ServerAction> actions;
  EXPECT_EQ(served.core->OnRequest(0, pull, &actions).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ServerCore, AnswersARequestForACheckpointWithoutWeightsAndGoesOn) {
  for (const auto consistency : {ParameterServerSpec::BSP, ParameterServerSpec::ASYNCHRONOUS}) {
    Served served(consistency);
    PullNote keep;
    keep.kept_step = 300;
    EXPECT_EQ(served.Ask(0, keep), "send 0 pull 0 0\nexpect 0 pull 0 1\n");
    served.core->OnSent(0, 0);
    EXPECT_FALSE(served.core->IsSending(0, 0));
    EXPECT_EQ(served.Ask(0, keep), "send 0 pull 0 1\nexpect 0 pull 0 2\n");
  }
}

TEST(ServerCore, WithBackupWorkersAnswersEveryPushOnceFromACopyAndALateOneAtOnce) {
  Served served(ParameterServerSpec::BSP, /*index=*/1, /*backups=*/1);
  EXPECT_EQ(served.Push(1, 0, 0),
            "expect 1 push 0 1\nreturn 1 push 0 0\ncopy 1 weights 0 0\nsend 1 weights 0 0\n");
  EXPECT_FALSE(served.core->IsSending(0, 0));
  served.core->OnSent(1, 0);
  EXPECT_EQ(served.Push(1, 0, 1, 1),
            "expect 1 push 0 2\nreturn 1 push 0 0\ncopy 1 weights 0 1\nsend 1 weights 0 1\n");
  EXPECT_EQ(served.core->shard().dropped(), 0);
  // Two updates are made; the first push of worker 0 gets the weights of both.
  EXPECT_EQ(served.Push(0, 0, 0),
            "expect 0 push 0 1\nreturn 0 push 0 0\ncopy 0 weights 0 0\nsend 0 weights 0 0\n");
  EXPECT_EQ(served.core->shard().dropped(), 1);
  EXPECT_EQ(served.core->shard().versions()[0], 2);
}

TEST(ServerCore, KeepsARequestUntilThePushesBeforeItAreThereAndAnswersFromACopy) {
  Served served(ParameterServerSpec::ASYNCHRONOUS);
  EXPECT_EQ(served.Ask(1, {1, false, false}), "");
  EXPECT_EQ(served.Push(1, 1, 0), "expect 1 push 1 1\nreturn 1 push 1 0\n");
  EXPECT_EQ(served.Push(1, 0, 0),
            "expect 1 push 0 1\nreturn 1 push 0 0\n"
            "copy 1 pull 0 0\nsend 1 weights 0 0\nsend 1 weights 1 0\nsend 1 pull 0 0\nexpect 1 "
            "pull 0 1\n");
  EXPECT_TRUE(served.core->IsSending(1, 0));
  for (const int32_t part : {0, 1, 0}) served.core->OnSent(1, part);
  EXPECT_FALSE(served.core->IsSending(1, 0));
  // A drain waits for the other worker, whose last push answers it.
  EXPECT_EQ(served.Ask(1, {1, true, false}), "");
  served.Push(0, 0, 0);
  EXPECT_EQ(
      served.Push(0, 1, 0),
      "expect 0 push 1 1\nreturn 0 push 1 0\n"
      "copy 1 pull 0 1\nsend 1 drain 0 1\nsend 1 drain 1 1\nsend 1 pull 0 1\nexpect 1 pull 0 2\n");
}

TEST(ServerCore, NeverOverwritesACopyThatIsStillBeingSent) {
  Served served(ParameterServerSpec::ASYNCHRONOUS);
  served.Push(0, 0, 0);
  served.Push(0, 1, 0);
  served.Ask(0, {1, false, false});
  std::vector<ServerAction> actions;
  EXPECT_DEATH(served.core->OnRequest(0, {1, true, false}, &actions).IgnoreError(), "IsSending");
}

TEST(ServerCore, IsFinishedOnceEveryWorkerHasSaidFarewellOnce) {
  Served served(ParameterServerSpec::SSP);
  served.Ask(0, {0, false, true});
  EXPECT_FALSE(served.core->finished());
  std::vector<ServerAction> actions;
  const absl::Status again = served.core->OnRequest(0, {0, false, true}, &actions);
  EXPECT_EQ(again, absl::InvalidArgumentError("worker/0 said farewell twice"));
  served.Ask(1, {0, false, true});
  EXPECT_TRUE(served.core->finished());
}

}  // namespace
}  // namespace ringmaster
