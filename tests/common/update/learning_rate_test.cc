#include "common/update/learning_rate.h"

#include <cmath>
#include <vector>

#include "common/update/update_rule.h"
#include "gtest/gtest.h"
#include "tests/common/update/optimizer_specs.h"

namespace ringmaster {
namespace {

TEST(LearningRate, DropsExactlyAfterEverySamples) {
  OptimizerSpec spec = Sgd(0.5f);
  spec.mutable_step_schedule()->set_every_samples(1000);
  spec.mutable_step_schedule()->set_factor(0.5f);
  const absl::StatusOr<LearningRate> rate = LearningRate::Create(spec, 1);
  ASSERT_TRUE(rate.ok()) << rate.status();
  EXPECT_EQ(rate->At(0), 0.5f);
  EXPECT_EQ(rate->At(999), 0.5f);
  EXPECT_EQ(rate->At(1000), 0.25f);
  EXPECT_EQ(rate->At(1999), 0.25f);
  EXPECT_EQ(rate->At(5000), 0x1p-6f);
  EXPECT_EQ(rate->At(int64_t{1} << 60), 0.0f);
}

TEST(LearningRate, FollowsTheCosineDownToItsFloorAndStaysThere) {
  const auto rate = LearningRate::Create(Cosine(0.5f, 999, 0.25f), 1);
  ASSERT_TRUE(rate.ok()) << rate.status();
  for (int64_t samples = 0; samples <= 999; ++samples) {
    const double expected =
        0.5 * (0.25 + 0.75 * (1 + std::cos(M_PI * static_cast<double>(samples) / 999)) / 2);
    ASSERT_NEAR(rate->At(samples), expected, 0x1p-24)
        << samples;  // one rounding to float of a number below 1
  }
  EXPECT_EQ(rate->At(0), 0.5f);
  EXPECT_EQ(rate->At(999), 0.125f);
  EXPECT_EQ(rate->At(int64_t{1} << 60), 0.125f);
}

TEST(LearningRate, WarmsUpLinearlyInFrontOfEverySchedule) {
  OptimizerSpec stepped = Sgd(0.5f);
  stepped.mutable_step_schedule()->set_every_samples(100);
  stepped.mutable_step_schedule()->set_factor(0.5f);
  for (OptimizerSpec spec : {Sgd(0.5f), stepped, Cosine(0.5f, 1000, 0)}) {
    const auto cold = LearningRate::Create(spec, 1);
    spec.set_warmup_samples(64);
    const auto warm = LearningRate::Create(spec, 1);
    ASSERT_TRUE(cold.ok() && warm.ok());
    for (const int64_t samples : {0, 1, 32, 63})
      EXPECT_EQ(warm->At(samples), 0.5f * samples / 64) << samples;
    for (const int64_t samples : {0, 1, 99, 100, 500, 5000}) {
      EXPECT_EQ(warm->At(64 + samples), cold->At(samples))
          << "the schedule begins where the warm-up ends, " << samples;
    }
  }
}

TEST(LearningRate, IsScaledByTheNumberOfWorkersWhereAskedFor) {
  OptimizerSpec spec = Cosine(0.1f, 1000, 0);
  EXPECT_EQ(LearningRate::Create(spec, 4)->At(0), 0.1f);
  spec.set_scale_with_workers(true);
  for (const int32_t workers : {1, 3, 4}) {
    EXPECT_EQ(LearningRate::Create(spec, workers)->At(0),
              static_cast<float>(double{0.1f} * workers))
        << workers;
    const auto rule = CreateUpdateRule(spec, {1, workers, {}});
    ASSERT_TRUE(rule.ok());
    std::vector<float> weights = {0.0f};
    (*rule)->Apply({}, std::vector<float>{1.0f}, absl::MakeSpan(weights));
    EXPECT_EQ(weights[0], -static_cast<float>(double{0.1f} * workers)) << workers;
  }
}

}  // namespace
}  // namespace ringmaster
