// What an update rule gives, another takes and goes on with.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/update/optimizer_specs.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

constexpr int64_t kCount = 1500;

OptimizerSpec SpecOf(const std::string& name) {
  OptimizerSpec spec = Sgd(0.05f);
  spec.set_name(name);
  spec.set_momentum(0.9f);
  spec.set_beta1(0.9f);
  spec.set_beta2(0.999f);
  spec.set_epsilon(1e-8f);
  spec.set_weight_decay(0.01f);
  return spec;
}

std::unique_ptr<UpdateRule> Create(const std::string& name, int64_t count = kCount) {
  absl::StatusOr<std::unique_ptr<UpdateRule>> rule = CreateUpdateRule(SpecOf(name), {count});
  EXPECT_TRUE(rule.ok()) << rule.status();
  return *std::move(rule);
}

void Step(int64_t step, UpdateRule* rule, Floats* weights) {
  Random random(step);
  Floats gradient(weights->size());
  for (float& value : gradient) value = random.Normal();
  rule->Apply({0, 8 * step, step}, gradient, absl::MakeSpan(*weights));
}

TEST(UpdateState, GivenAndTakenTheRuleGoesOnAsIfItHadNeverStopped) {
  for (const OptimizerInfo& info : Optimizers()) {
    const auto whole = Create(info.name), before = Create(info.name), after = Create(info.name);
    Floats expected(kCount, 1.0f), weights(kCount, 1.0f);
    for (int64_t step = 0; step < 5; ++step) {
      Step(step, whole.get(), &expected);
      Step(step, before.get(), &weights);
    }
    ASSERT_TRUE(after->Take(before->Give()).ok()) << info.name;
    for (int64_t step = 5; step < 10; ++step) {
      Step(step, whole.get(), &expected);
      Step(step, after.get(), &weights);
    }
    EXPECT_EQ(weights, expected) << info.name;
  }
}

TEST(UpdateState, OfAnotherOptimizerOrSizeIsRefusedAndTheRuleUnchanged) {
  const auto refusal = [](UpdateRule& rule, const State& state) {
    const absl::Status status = rule.Take(state);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const auto adam = Create("adam"), momentum = Create("momentum"), sgd = Create("sgd");
  Floats weights(kCount, 1.0f);
  Step(0, adam.get(), &weights);
  const auto twin = Create("adam");
  ASSERT_TRUE(twin->Take(adam->Give()).ok());
  EXPECT_THAT(refusal(*adam, momentum->Give()),
              HasSubstr("without \"first\", which is expected; it has \"velocity\""));
  EXPECT_THAT(refusal(*adam, Create("adamw", 7)->Give()),
              HasSubstr("\"first\": it is 7 floats, expected 1500 floats"));
  EXPECT_THAT(refusal(*sgd, momentum->Give()),
              HasSubstr("with \"velocity\", which nobody takes; expected nothing"));
  Floats same = weights;
  Step(1, adam.get(), &weights);
  Step(1, twin.get(), &same);
  EXPECT_EQ(weights, same);
}

}  // namespace
}  // namespace ringmaster
