#include "tests/cluster/shaped_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {

std::map<std::string, double> MedianSteps(const std::string& arms,
                                          const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"compare",   "--arms",
                                        arms,        "--data",
                                        "synthetic", "--model",
                                        "lenet",     "--batch",
                                        "2",         "--transport",
                                        "shm",       "--json",
                                        "--out",     NewFolder("out"),
                                        "--set",     "data.synthetic.train_samples=256",
                                        "--set",     "data.synthetic.test_samples=16",
                                        "--set",     "training.kernels=cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const bool is_emulated = std::find(more.begin(), more.end(), "--emulate") != more.end();
  const Finished finished = RunProgram(arguments);
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  const nlohmann::json object =
      nlohmann::json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  std::map<std::string, double> steps;
  if (!object.is_object()) return steps;
  for (const nlohmann::json& run : object["runs"]) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    EXPECT_EQ(run["final_loss"].is_null(), is_emulated)
        << run["arm"] << ": nothing computed has no loss";
    if (run["step_ms_p50"].is_number())
      steps[run["arm"].get<std::string>()] = run["step_ms_p50"].get<double>();
  }
  return steps;
}

}  // namespace ringmaster
