#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/update/delay_compensation.h"
#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

OptimizerSpec Sgd(float rate) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(rate);
  return spec;
}

ShardPlan Plan(int32_t workers, std::vector<int64_t> parts) {
  return {workers, 1, std::nullopt, workers, std::move(parts)};
}

void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

// Gradient descent on x^2 / 2 with a rate of 0.9, by gradients that are one update late.
float AfterLateSteps(float start, double lambda) {
  ShardPlan plan = Plan(1, {1});
  plan.sent_kept = lambda > 0 ? 2 : 0;
  std::unique_ptr<UpdateRule> rule = *CreateUpdateRule(Sgd(0.9f), {1});
  if (lambda > 0) rule = Compensate(std::move(rule), {lambda, false, 0, 1}, 1, {});
  ShardCore core(plan, std::move(rule), Floats{start});
  std::vector<Reply> ready;
  float read = start;  // the weights of the step before the last
  for (int64_t step = 0; step < 400 && std::abs(core.weights()[0]) < 1e6f; ++step) {
    const float last = core.weights()[0];
    const Floats gradient = {read};
    ExpectOk(core.OnPush({0, 0, step, std::max<int64_t>(0, step - 1), gradient}, &ready));
    core.OnSent(0);
    read = last;
  }
  return std::abs(core.weights()[0]);
}

// Compensation by g * g is a cubic term: far from the minimum it breaks what is stable without it.
TEST(ShardCompensation, DelayCompensationDivergesFarFromTheMinimumWherePlainDescentConverges) {
  for (const float start : {0.5f, 1.5f, 3.0f, 10.0f}) EXPECT_LT(AfterLateSteps(start, 0), 1e-2f);
  for (const float start : {0.5f, 1.5f}) EXPECT_LT(AfterLateSteps(start, 1), 1e-2f) << start;
  for (const float start : {3.0f, 10.0f}) EXPECT_GT(AfterLateSteps(start, 1), 1e3f) << start;
}

TEST(ShardCompensation, AGradientIsCompensatedFromTheWeightsOfTheVersionThatItNames) {
  ShardPlan plan = Plan(2, {1, 1});
  plan.sent_kept = 2;
  ShardCore core(plan, Compensate(*CreateUpdateRule(Sgd(1), {2}), {1, false, 0, 1}, 2, {}),
                 Floats{8, 8});
  const Floats one = {1}, other = {2};
  std::vector<Reply> ready;
  ExpectOk(core.OnPush({0, 0, 0, 0, one}, &ready));  // nothing has moved since: 8 - 1
  EXPECT_EQ(core.weights()[0], 7);
  ExpectOk(core.OnPush({1, 0, 0, 0, other}, &ready));  // 2 + 4 * (7 - 8) = -2
  EXPECT_EQ(core.weights()[0], 9);
  core.OnSent(0);
  ExpectOk(core.OnPush({0, 0, 1, 0, one}, &ready));  // from the copy before: 1 + (9 - 8) = 2
  EXPECT_EQ(core.weights()[0], 7);
  core.OnSent(0);
  ExpectOk(core.OnPush({0, 0, 2, 2, one}, &ready));  // from the first that was sent: 1 + (7 - 9)
  EXPECT_EQ(core.weights()[0], 8);
  EXPECT_THAT(std::string(core.OnPush({0, 0, 3, 0, one}, &ready).message()),
              HasSubstr("computed from version 0, which is none of those that the worker was"));
  EXPECT_EQ(core.weights()[0], 8);
  EXPECT_EQ(core.weights()[1], 8);
}

}  // namespace
}  // namespace ringmaster
