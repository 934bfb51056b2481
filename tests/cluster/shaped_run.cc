#include "tests/cluster/shaped_run.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;

constexpr int kPacedSteps = 6;
constexpr int kPacedWarmupSteps = 1;
// Others never count for more than leaves this: beyond, a slower pace only takes longer.
constexpr double kLeftLeast = 0.25;

// The runs of `ringmaster compare` that ended well, by arm.
std::map<std::string, json> RunsOf(const std::string& arms, const std::vector<std::string>& more) {
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
  const json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  std::map<std::string, json> runs;
  if (!object.is_object()) return runs;
  for (const json& run : object["runs"]) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    EXPECT_EQ(run["final_loss"].is_null(), is_emulated)
        << run["arm"] << ": nothing computed has no loss";
    if (run["step_ms_p50"].is_number()) runs[run["arm"].get<std::string>()] = run;
  }
  return runs;
}

std::string NetworkOf(const ShapedSetting& setting, double pace) {
  std::string text = absl::StrCat(setting.megabits / pace, "mbit");
  if (setting.latency_ms > 0) absl::StrAppend(&text, ",", setting.latency_ms * pace, "ms");
  return text;
}

}  // namespace

std::map<std::string, double> MedianSteps(const std::string& arms,
                                          const std::vector<std::string>& more) {
  std::map<std::string, double> steps;
  for (const auto& [arm, run] : RunsOf(arms, more)) steps[arm] = run["step_ms_p50"].get<double>();
  return steps;
}

std::map<std::string, double> Rates(const std::string& arms, const std::vector<std::string>& more) {
  std::map<std::string, double> rates;
  for (const auto& [arm, run] : RunsOf(arms, more))
    rates[arm] = run["samples_per_second"].get<double>();
  return rates;
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

double PacedSteps::StepOf(const ShapedSetting& setting) {
  const std::string key = absl::StrCat(setting.arm, " ", setting.workers, " ", setting.megabits,
                                       " ", setting.latency_ms, " ", setting.compute_ms, " ",
                                       absl::StrJoin(setting.more, " "));
  double& pace = paces_.emplace(key, 1).first->second;
  double step = 0;
  PlayAtAPace(&pace, [&](double at) {
    std::vector<std::string> more = {
        "--workers", absl::StrCat(setting.workers),
        "--network", NetworkOf(setting, at),
        "--emulate", absl::StrCat(setting.compute_ms * at),
        "--steps",   absl::StrCat(kPacedSteps),
        "--set",     absl::StrCat("training.warmup_steps=", kPacedWarmupSteps),
        "--set",     "model.name=mlp"};
    more.insert(more.end(), setting.more.begin(), setting.more.end());
    const auto runs = RunsOf(setting.arm, more);
    const auto run = runs.find(setting.arm);
    if (run == runs.end()) return 0.0;
    step = run->second["step_ms_p50"].get<double>() / at;
    return CoresUsed(run->second);
  });
  EXPECT_GT(step, 0) << key;
  std::printf("%s: %.2f ms a step at pace %g\n", key.c_str(), step, pace);
  return step;
}

}  // namespace ringmaster
