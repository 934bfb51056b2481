#include "tests/cluster/prediction_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {

void ExpectPredictedSteps(const PredictionRun& run) {
  const std::string name = absl::StrCat("prediction_", run.workers, "_", run.megabits);
  const Finished predict =
      RunProgram({"predict",
                  "--arms",
                  run.arms,
                  "--workers",
                  absl::StrCat(run.workers),
                  "--steps",
                  absl::StrCat(run.steps),
                  "--transport",
                  "tcp",
                  "--data",
                  "synthetic",
                  "--set",
                  "data.synthetic.train_samples=512",
                  "--model",
                  "mlp",
                  "--set",
                  "model.mlp_hidden=100",
                  "--set",
                  "training.bucket_bytes=65536",
                  "--set",
                  "training.emulated_compute.milliseconds=5",
                  "--set",
                  absl::StrCat("transport.network.megabits_per_second=", run.megabits),
                  "--set",
                  absl::StrCat("transport.network.latency_ms=", run.latency_ms),
                  "--out",
                  NewFolder(name),
                  "--json"});
  ASSERT_EQ(predict.exit_code, 0) << predict.err;
  const nlohmann::json arms = nlohmann::json::parse(predict.out)["arms"];
  ASSERT_EQ(arms.size(),
            static_cast<size_t>(1 + std::count(run.arms.begin(), run.arms.end(), ',')));
  for (const nlohmann::json& arm : arms) {
    ASSERT_EQ(arm["status"], "ok") << arm;
    EXPECT_GE(arm["predicted_step_ms"], 5) << arm;  // what is computed
    EXPECT_NEAR(arm["residual"], 0, 0.2) << arm;
  }
}

}  // namespace ringmaster
