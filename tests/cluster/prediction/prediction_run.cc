#include "tests/cluster/prediction/prediction_run.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/cluster/blocks.h"
#include "tests/cluster/shaped_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;

constexpr double kComputeMs = 5;
// Bounds of (measured - predicted) / measured.
constexpr double kResidualMost = 0.2;

// The largest CoresUsed of the runs that `predict` has kept.
double CoresUsedOfAll(const std::string& folder) {
  std::ifstream file(folder + "/results.jsonl");
  double most = 0;
  for (std::string line; std::getline(file, line);)
    most = std::max(most, CoresUsed(json::parse(line)));
  return most;
}

// Runs `predict` at `pace`: measured over predicted steps, by arm. Returns the cores used.
double PredictOnce(const PredictionRun& run, double pace, Measured* ratios) {
  const std::string folder = NewFolder(absl::StrCat("prediction_", run.workers, "_", run.megabits));
  std::vector<std::string> arguments = {"predict",
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
                                        "--model",
                                        "mlp",
                                        "--out",
                                        folder,
                                        "--json"};
  for (const std::string& setting :
       {std::string("data.synthetic.train_samples=512"), std::string("model.mlp_hidden=100"),
        std::string("training.bucket_bytes=65536"),
        absl::StrCat("training.emulated_compute.milliseconds=", kComputeMs * pace),
        absl::StrCat("transport.network.megabits_per_second=", run.megabits / pace),
        absl::StrCat("transport.network.latency_ms=", run.latency_ms * pace)}) {
    arguments.insert(arguments.end(), {"--set", setting});
  }
  const Finished predict = RunProgram(arguments);
  EXPECT_EQ(predict.exit_code, 0) << predict.err;
  if (predict.exit_code != 0) return 0;
  const json object = json::parse(predict.out);
  for (const json& arm : object["arms"]) {
    EXPECT_EQ(arm["status"], "ok") << arm;
    const double predicted = arm["predicted_step_ms"], measured = arm["measured_step_ms"];
    EXPECT_GE(predicted, kComputeMs * pace) << arm;  // what is computed
    EXPECT_NEAR(arm["residual"], (measured - predicted) / measured, 1e-9) << arm;
    (*ratios)[arm["arm"]] = measured / predicted;
  }
  return CoresUsedOfAll(folder);
}

}  // namespace

void ExpectPredictedSteps(const PredictionRun& run) {
  std::vector<Claim> claims;
  for (const std::string& arm : std::vector<std::string>(absl::StrSplit(run.arms, ','))) {
    claims.push_back({absl::StrCat(arm, ", measured over predicted"), 1, 1 / (1 + kResidualMost),
                      1 / (1 - kResidualMost),
                      [arm](const Measured& ratios) { return ratios.at(arm); }});
  }
  double pace = 1;
  ExpectInBlocks(claims, [&] {
    Measured ratios;
    PlayAtAPace(&pace, [&](double at) { return PredictOnce(run, at, &ratios); });
    EXPECT_EQ(ratios.size(), claims.size());
    std::printf("%d workers at %d Mbit/s: pace %g\n", run.workers, run.megabits, pace);
    return ratios;
  });
}

}  // namespace ringmaster
