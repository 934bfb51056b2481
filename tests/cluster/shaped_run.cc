#include "tests/cluster/shaped_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;

// Others never count for more than leaves this: beyond, a slower pace only takes longer.
constexpr double kLeftLeast = 0.25;

}  // namespace

std::map<std::string, json> ShapedRuns(const std::string& command, const std::string& arms,
                                       const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {command,     "--arms",
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
  // Emulated computing computes nothing, and a simulation plays time alone.
  const bool learns =
      command != "simulate" && std::find(more.begin(), more.end(), "--emulate") == more.end();
  const Finished finished = RunProgram(arguments);
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  const json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  std::map<std::string, json> runs;
  if (!object.is_object()) return runs;
  for (const json& run : object["runs"]) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    // Workers that exchange nothing have no common model.
    EXPECT_EQ(run["final_loss"].is_null(), !learns || run["arm"] == "solo")
        << run["arm"] << ": nothing computed has no loss";
    if (run["step_ms_p50"].is_number()) runs[run["arm"].get<std::string>()] = run;
  }
  return runs;
}

std::map<std::string, double> MedianSteps(const std::string& arms,
                                          const std::vector<std::string>& more) {
  std::map<std::string, double> steps;
  for (const auto& [arm, run] : ShapedRuns("compare", arms, more))
    steps[arm] = run["step_ms_p50"].get<double>();
  return steps;
}

double CoresUsed(const json& run) {
  const json& conditions = run["conditions"];
  const double others =
      conditions.value("foreign_share", 0.0) + conditions.value("stolen_share", 0.0);
  const double cores = run["machine"]["cores"].get<double>() * std::max(1 - others, kLeftLeast);
  return run["cpu_ms_per_sample"].get<double>() / 1000 * run["samples_per_second"].get<double>() /
         cores;
}

void PlayAtAPace(double* pace, const std::function<double(double pace)>& play) {
  while (play(*pace) > kCoresUsedMost && *pace < kPaceMost) *pace *= 2;
}

}  // namespace ringmaster
