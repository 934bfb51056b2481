#include "tests/cluster/ordering/preset_run.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/config/load.h"
#include "common/config/textproto.h"
#include "experiments/study/sweep/cells.h"
#include "gtest/gtest.h"
#include "proto/sweep_spec.pb.h"
#include "tests/cluster/shaped_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;

constexpr int kMlpInputs = 784, kMlpHidden = 128, kMlpClasses = 10;

// Of the weights of an "mlp" on images of MNIST's shape.
double WeightsBytes(const ModelSpec& model) {
  std::vector<int> layers(model.mlp_hidden().begin(), model.mlp_hidden().end());
  if (layers.empty()) layers.push_back(kMlpHidden);
  layers.push_back(kMlpClasses);
  double count = 0;
  int inputs = kMlpInputs;
  for (const int outputs : layers) {
    count += (inputs + 1.0) * outputs;
    inputs = outputs;
  }
  return count * sizeof(float);
}

// Of a cell that is played at a pace: all its steps are alike.
constexpr int64_t kPacedSteps = 12;

RunSpec AtPace(RunSpec spec, double pace) {
  TrainingSpec* training = spec.mutable_training();
  training->set_steps(std::min<int64_t>(training->steps(), kPacedSteps));
  EmulatedComputeSpec* compute = training->mutable_emulated_compute();
  compute->set_milliseconds(compute->milliseconds() * pace);
  NetworkSpec* network = spec.mutable_transport()->mutable_network();
  network->set_megabits_per_second(network->megabits_per_second() / pace);
  if (network->has_latency_ms()) network->set_latency_ms(network->latency_ms() * pace);
  return spec;
}

// The run's entry in `--json`; null, with a failure of the test, where it failed.
json RunSpecFile(const RunSpec& spec, const std::string& what) {
  const std::string file = NewFolder("cell") + "/cell.textproto";
  std::ofstream(file) << SerializeRunSpec(spec);
  const Finished finished = RunProgram({"run", file, "--json", "--out", NewFolder("out")});
  EXPECT_EQ(finished.exit_code, 0) << what << ": " << finished.err << finished.out;
  const json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || object["runs"].size() != 1) return json();
  const json& run = object["runs"][0];
  EXPECT_EQ(run["status"], "ok") << what;
  return run["step_ms_p50"].is_number() ? run : json();
}

}  // namespace

PresetRuns::PresetRuns(const std::string& name) : name_(name) {
  SweepSpec sweep;
  const absl::Status loaded =
      LoadTextproto(absl::StrCat("experiments/presets/", name, ".textproto"), "sweep", &sweep);
  EXPECT_TRUE(loaded.ok()) << loaded;
  const absl::StatusOr<SweepCells> cells = ExpandCells(sweep);
  EXPECT_TRUE(cells.ok()) << name << ": " << cells.status();
  if (!cells.ok()) return;
  for (const SweepCell& cell : cells->cells) {
    cells_.push_back(SettingsText(cell.settings));
    specs_[cells_.back()] = cell.spec;
  }
}

const RunSpec& PresetRuns::SpecOf(const std::string& cell) const {
  const auto found = specs_.find(cell);
  EXPECT_TRUE(found != specs_.end()) << "preset " << name_ << " has no cell " << cell;
  return found == specs_.end() ? RunSpec::default_instance() : found->second;
}

CellNumbers PresetRuns::NumbersOf(const std::string& cell) const {
  const RunSpec& spec = SpecOf(cell);
  EXPECT_EQ(spec.model().name(), "mlp") << cell;
  CellNumbers numbers;
  numbers.workers = spec.training().workers();
  numbers.compute_ms = spec.training().emulated_compute().milliseconds();
  numbers.latency_ms = spec.transport().network().latency_ms();
  numbers.weights_ms =
      WeightsBytes(spec.model()) * 8 / spec.transport().network().megabits_per_second() / 1000;
  return numbers;
}

CellRun PresetRuns::Run(const std::string& cell) {
  const RunSpec& spec = SpecOf(cell);
  const bool is_shaped = spec.transport().has_network();
  double& pace = paces_.emplace(cell, 1).first->second;
  CellRun result;
  const auto play = [&](double at) {
    const json run = RunSpecFile(is_shaped ? AtPace(spec, at) : spec, cell);
    if (run.is_null()) return 0.0;
    result.step_ms = run["step_ms_p50"].get<double>() / at;
    result.samples_per_second = run["samples_per_second"].get<double>() * at;
    return CoresUsed(run);
  };
  if (is_shaped) {
    PlayAtAPace(&pace, play);
  } else {
    play(1);
  }
  EXPECT_GT(result.step_ms, 0) << name_ << " " << cell;
  std::printf("%s, %s: %.2f ms a step, %.0f samples/s at pace %g\n", name_.c_str(), cell.c_str(),
              result.step_ms, result.samples_per_second, pace);
  return result;
}

}  // namespace ringmaster
