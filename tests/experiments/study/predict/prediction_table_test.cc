#include "experiments/study/predict/prediction_table.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

PredictedArm ArmOf(const std::string& name, double predicted, std::optional<double> measured) {
  PredictedArm arm;
  arm.arm = name;
  arm.transport = "tcp";
  arm.prediction.set_step_ms(predicted);
  arm.prediction.set_compute_ms(5);
  arm.prediction.set_exposed_ms(predicted - 5);
  arm.prediction.set_communication_ms(7);
  arm.prediction.set_latency_us(31);
  arm.prediction.set_bytes_per_second(2.1e9);
  arm.prediction.set_round_trip_samples(1234);
  arm.status = measured ? "ok" : "";
  arm.measured_step_ms = measured;
  return arm;
}

TEST(PredictionTable, TheResidualIsAShareOfWhatWasMeasured) {
  EXPECT_DOUBLE_EQ(*ResidualOf(ArmOf("ring", 8, 10)), 0.2);
  EXPECT_DOUBLE_EQ(*ResidualOf(ArmOf("ring", 15, 10)), -0.5);
  EXPECT_FALSE(ResidualOf(ArmOf("ring", 8, std::nullopt)).has_value());
}

TEST(PredictionTable, NotesTheArmsThatAreFarOff) {
  const std::string text =
      PredictionTable({ArmOf("ps", 9, 10), ArmOf("ring", 5, 10), ArmOf("async", 6, std::nullopt)});
  EXPECT_THAT(text, HasSubstr("+10.0"));
  EXPECT_THAT(text, HasSubstr("+50.0"));
  EXPECT_THAT(text, HasSubstr("more than 20 % off: ring;"));
  EXPECT_THAT(text,
              HasSubstr("tcp: 31 us a message and 2.10 GB/s a node, each way, from 1234 messages"));
  EXPECT_THAT(PredictionTable({ArmOf("ps", 9, 10)}), Not(HasSubstr("more than 20 % off")));
}

TEST(PredictionTable, AFailedRunIsNamed) {
  PredictedArm arm = ArmOf("ps", 9, std::nullopt);
  arm.status = "UNAVAILABLE: worker/1 is gone";
  EXPECT_THAT(PredictionTable({arm}), HasSubstr("ps failed: UNAVAILABLE: worker/1 is gone"));
}

TEST(PredictionJson, HasTheFiguresAndNullForWhatThereIsNot) {
  const auto json =
      nlohmann::json::parse(PredictionJson({ArmOf("ps", 9, 10), ArmOf("ring", 5, std::nullopt)}));
  ASSERT_EQ(json["arms"].size(), 2u);
  EXPECT_EQ(json["arms"][0]["arm"], "ps");
  EXPECT_EQ(json["arms"][0]["predicted_step_ms"], 9);
  EXPECT_EQ(json["arms"][0]["measured_step_ms"], 10);
  EXPECT_DOUBLE_EQ(json["arms"][0]["residual"], 0.1);
  EXPECT_TRUE(json["arms"][1]["measured_step_ms"].is_null());
  EXPECT_TRUE(json["arms"][1]["residual"].is_null());
  EXPECT_TRUE(json["arms"][1]["status"].is_null());
  PredictedArm unlimited = ArmOf("solo", 5, 5);
  unlimited.prediction.set_bytes_per_second(0);
  EXPECT_TRUE(
      nlohmann::json::parse(PredictionJson({unlimited}))["arms"][0]["bytes_per_second"].is_null());
}

}  // namespace
}  // namespace ringmaster
