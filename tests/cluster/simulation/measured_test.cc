// What `ringmaster simulate` says of a step, beside what real processes take for it on the same
// network with the same emulated computing. Prints the table of docs/results/simulation.md.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/scheme/scheme.h"
#include "experiments/study/simulate/simulated_run.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/cluster/blocks.h"
#include "tests/cluster/shaped_run.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using nlohmann::json;

constexpr double kComputeMs = 20;
constexpr double kMegabits = 1000;
constexpr double kLatencyMs = 0.05;
constexpr double kApartMost = 1.1;      // measured over simulated, and its inverse
constexpr double kCoresUsedMuch = 0.7;  // above, threads wait for cores, which no network knows

// An arm of processes whose messages all are ours and of a length that is known.
bool IsPlayed(const ArmUnderTest& arm) {
  RunSpec spec = arm.spec;
  spec.mutable_transport()->mutable_network()->set_megabits_per_second(kMegabits);
  return spec.strategy().launch() == PROCESSES && CheckSimulatable(spec, SimulationOptions()).ok();
}

// A step of a run, in milliseconds: the median; where some steps exchange and others do not, the
// mean of the slowest worker.
double StepMs(const json& run, const SchemeTraits& traits) {
  if (traits.exchange_every == 1 && traits.local_steps <= 1) return run["step_ms_p50"];
  return 1000 * run["global_batch"].get<double>() / run["samples_per_second"].get<double>();
}

struct Steps {
  double measured = 0;
  double simulated = 0;
  double cores_used = 0;  // CoresUsed
  double pace = 1;
};

void PrintRow(const std::string& arm, int32_t workers, const Steps& steps) {
  std::printf("| `%s` | %d | %g | %.1f | %.1f | %.3f | %.0f %% |\n", arm.c_str(), workers,
              steps.pace, steps.measured, steps.simulated, steps.measured / steps.simulated,
              100 * steps.cores_used);
}

// Runs and simulates the arm with everything `pace` times as slow.
Steps Play(const std::string& arm, int32_t workers, double pace) {
  const std::vector<std::string> spec = {
      "--workers", absl::StrCat(workers),
      "--steps",   "48",
      "--emulate", absl::StrCat(kComputeMs * pace),
      "--set",     "training.warmup_steps=8",
      "--set",     absl::StrCat("transport.network.megabits_per_second=", kMegabits / pace),
      "--set",     absl::StrCat("transport.network.latency_ms=", kLatencyMs * pace)};
  std::vector<std::string> simulation = spec;
  simulation.insert(simulation.end(), {"--compute", absl::StrCat(kComputeMs * pace, "ms")});
  const auto measured = ShapedRuns("compare", arm, spec);
  const auto simulated = ShapedRuns("simulate", arm, simulation);
  Steps steps;
  steps.pace = pace;
  if (measured.empty() || simulated.empty()) return steps;
  const SchemeTraits traits = DescribeArm(arm).traits;
  steps.measured = StepMs(measured.at(arm), traits);
  steps.simulated = StepMs(simulated.at(arm), traits);
  steps.cores_used = CoresUsed(measured.at(arm));
  PrintRow(arm, workers, steps);
  return steps;
}

// Measured over simulated. Where updates come on arrival, or the last gradients are dropped, nobody
// keeps workers in step. Simulated ones that are alike compute, push and pull together for ever;
// real ones drift apart, and the one's pushes go on beside the other's pulls and computing. So a
// step takes what chance makes of it: at least the longest of the three, a third of the simulated.
Claim ClaimOf(const std::string& arm, int32_t workers) {
  const SchemeTraits traits = DescribeArm(arm).traits;
  const bool in_step = traits.updates == Updates::kTogether && traits.backup_workers == 0;
  const double least = in_step ? 1 : 1.0 / 3;
  Claim claim;
  claim.what = absl::StrCat(arm, " ", workers, ", measured over simulated");
  claim.expected = std::sqrt(least);
  claim.low = least / kApartMost;
  claim.high = kApartMost;
  claim.ratio = [](const Measured& measured) { return measured.at("ratio"); };
  return claim;
}

void ExpectSimulatedStep(const std::string& arm, int32_t workers) {
  const Claim claim = ClaimOf(arm, workers);
  double pace = 1;
  ExpectInBlocks({claim}, [&] {
    Steps steps;
    PlayAtAPace(&pace, [&](double at) {
      steps = Play(arm, workers, at);
      return steps.cores_used;
    });
    // Of a machine that is busy at every pace nothing is said.
    const bool is_judged = steps.cores_used < kCoresUsedMuch;
    return Measured{{"ratio", is_judged ? steps.measured / steps.simulated : claim.expected}};
  });
}

class EveryPlayedArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Simulation, EveryPlayedArm, testing::ValuesIn(ArmsThat(IsPlayed)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryPlayedArm, TakesForAStepWhatRealProcessesTake) {
  for (const int32_t workers : {2, 4}) ExpectSimulatedStep(GetParam(), workers);
}

class AnArmOfEachScheme : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Simulation, AnArmOfEachScheme,
                         testing::ValuesIn(OneArmOfEachScheme(IsPlayed)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(AnArmOfEachScheme, TakesForAStepWhatEightRealProcessesTake) {
  ExpectSimulatedStep(GetParam(), 8);
}

}  // namespace
}  // namespace ringmaster
