// What `ringmaster simulate` says of a step, beside what real processes take for it on the same
// network: with the same emulated computing, and with real computing that takes what it takes two
// workers at once. Prints the tables of docs/results/simulation.md.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/scheme/scheme.h"
#include "experiments/study/simulate/compute_text.h"
#include "experiments/study/simulate/simulated_run.h"
#include "gtest/gtest.h"
#include "proto/compute_times.pb.h"
#include "proto/run_spec.pb.h"
#include "tests/cluster/blocks.h"
#include "tests/cluster/shaped_run.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;

constexpr double kComputeMs = 20;
constexpr double kMegabits = 1000;
constexpr double kLatencyMs = 0.05;
constexpr double kApartMost = 1.1;      // measured over simulated, and its inverse
constexpr double kCoresUsedMuch = 0.7;  // above, threads wait for cores, which no network knows
// The same of workers that compute: they use all cores, and what they say of each other's times is
// not all that messages cost there.
constexpr double kApartMostComputing = 1.2;
constexpr int32_t kComputingWorkers = 2;
constexpr double kOthersUseMuch = 0.1;  // of the cores' time; above, workers wait for others

// Sums in rounds are many small messages in a row, each of which wakes a thread: with four workers
// on two cores that is 5 ms a step, whatever the pace.
constexpr double kPaceOfRounds = 4;

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
  double cores_used = 0;   // CoresUsed
  double others_used = 0;  // of the cores' time, other programs and virtual machines
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
Claim ClaimOf(const std::string& arm, int32_t workers, double apart_most) {
  const SchemeTraits traits = DescribeArm(arm).traits;
  const bool in_step = traits.updates == Updates::kTogether && traits.backup_workers == 0;
  const double least = in_step ? 1 : 1.0 / 3;
  Claim claim;
  claim.what = absl::StrCat(arm, " ", workers, ", measured over simulated");
  claim.expected = std::sqrt(least);
  claim.low = least / apart_most;
  claim.high = apart_most;
  claim.ratio = [](const Measured& measured) { return measured.at("ratio"); };
  return claim;
}

void ExpectSimulatedStep(const std::string& arm, int32_t workers) {
  const Claim claim = ClaimOf(arm, workers, kApartMost);
  double pace = DescribeArm(arm).codec.in_rounds ? kPaceOfRounds : 1;
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

// Workers that compute: batches for which a step of lenet takes tens of milliseconds.
std::vector<std::string> Computing(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "--workers", absl::StrCat(kComputingWorkers),
      "--steps",   "48",
      "--set",     "training.warmup_steps=8",
      "--set",     "training.batch_per_worker=64",
      "--set",     absl::StrCat("transport.network.megabits_per_second=", kMegabits),
      "--set",     absl::StrCat("transport.network.latency_ms=", kLatencyMs)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// The times in the file, of a worker that was alone, as those of one whose step takes `step_ms`:
// on a machine's shared memory more workers at once are slower. A path of a file of its own.
std::string TimesOfStep(const std::string& alone, double step_ms) {
  StepCompute source;
  source.source = alone;
  const auto loaded = LoadTimes(source);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  ComputeTimes times = loaded->value();
  const double alone_ms =
      1000 * (times.load_seconds() + times.compute_seconds() + times.update_seconds());
  const double longer = step_ms / alone_ms;
  times.set_load_seconds(longer * times.load_seconds());
  times.set_compute_seconds(longer * times.compute_seconds());
  times.set_update_seconds(longer * times.update_seconds());
  const std::string path = absl::StrCat(alone, ".together.textproto");
  std::ofstream(path) << times.DebugString();
  return path;
}

// Runs two workers that exchange nothing and the arm in turns, and simulates the arm with what a
// step of the two has taken.
Steps PlayComputing(const std::string& arm) {
  const std::string alone = NewFolder("times") + "/alone.textproto";
  ShapedRuns("simulate", arm, Computing({"--compute", "measured", "--keep-compute", alone}));
  const auto measured = ShapedRuns("compare", absl::StrCat("solo,", arm), Computing({}));
  Steps steps;
  if (measured.count(arm) == 0 || measured.count("solo") == 0) return steps;
  const std::string together = TimesOfStep(alone, measured.at("solo")["step_ms_p50"]);
  const auto simulated = ShapedRuns("simulate", arm, Computing({"--compute", together}));
  if (simulated.empty()) return steps;
  const SchemeTraits traits = DescribeArm(arm).traits;
  steps.measured = StepMs(measured.at(arm), traits);
  steps.simulated = StepMs(simulated.at(arm), traits);
  for (const auto& [name, run] : measured) {
    const json& conditions = run["conditions"];
    steps.others_used = std::max(steps.others_used, conditions.value("foreign_share", 0.0) +
                                                        conditions.value("stolen_share", 0.0));
  }
  std::printf("| `%s` | %.1f | %.1f | %.3f | %.0f %% |\n", arm.c_str(), steps.measured,
              steps.simulated, steps.measured / steps.simulated, 100 * steps.others_used);
  return steps;
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

class AnExchangeOfEachScheme : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Simulation, AnExchangeOfEachScheme,
                         testing::ValuesIn(OneArmOfEachScheme([](const ArmUnderTest& arm) {
                           return IsPlayed(arm) && arm.traits.exchanges;
                         })),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(AnExchangeOfEachScheme, TakesForAStepWhatTwoWorkersTakeThatCompute) {
  const std::string& arm = GetParam();
  const Claim claim = ClaimOf(arm, kComputingWorkers, kApartMostComputing);
  ExpectInBlocks({claim}, [&] {
    const Steps steps = PlayComputing(arm);
    const bool is_judged = steps.others_used < kOthersUseMuch;
    return Measured{{"ratio", is_judged ? steps.measured / steps.simulated : claim.expected}};
  });
}

}  // namespace
}  // namespace ringmaster
