// `ringmaster simulate`, as a user runs it.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> OnCluster(const std::vector<std::string>& more) {
  std::vector<std::string> arguments =
      SmallRun("simulate", {"--workers", "4", "--network", "1gbit,50us", "--compute", "5ms"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Simulate, GivesTheSameFiguresAgainAndKeepsThem) {
  const std::string folder = NewFolder("simulate_keeps");
  std::vector<json> runs;
  for (int time = 0; time < 2; ++time) {
    const Finished simulate = RunProgram(
        OnCluster({"--arms", "ps,async", "--learn", "--steps", "20", "--out", folder, "--json"}));
    ASSERT_EQ(simulate.exit_code, 0) << simulate.err;
    EXPECT_THAT(simulate.err, HasSubstr("virtual seconds"));
    runs.push_back(json::parse(simulate.out)["runs"]);
  }
  ASSERT_EQ(runs[0].size(), 2u);
  for (int arm = 0; arm < 2; ++arm) {
    for (const char* figure : {"step_ms_p50", "samples_per_second", "bytes_up_per_step",
                               "final_loss", "test_accuracy", "weights_sha256"}) {
      EXPECT_FALSE(runs[0][arm][figure].is_null()) << figure;
      EXPECT_EQ(runs[0][arm][figure], runs[1][arm][figure]) << figure;
    }
    EXPECT_EQ(runs[0][arm]["transport"], "simulated");
    EXPECT_EQ(runs[0][arm]["simulation"]["compute"], "5ms");
    EXPECT_EQ(runs[0][arm]["simulation"]["learns"], true);
    EXPECT_GE(runs[0][arm]["step_ms_p50"], 5);
  }
  std::ifstream lines(folder + "/results.jsonl");
  std::string line;
  int kept = 0;
  for (; std::getline(lines, line); ++kept) EXPECT_TRUE(json::parse(line).contains("simulation"));
  EXPECT_EQ(kept, 4);
}

// Of workers that exchange weights; tests/experiments/study/simulate has all arms, on threads.
TEST(Simulate, EndsWithTheWeightsOfProcesses) {
  const std::string folder = NewFolder("simulate_processes");
  const auto exchanges_weights = [](const ArmUnderTest& arm) {
    return arm.traits.exchanged != Exchanged::kGradients;
  };
  const std::vector<std::string> arms = OneArmOfEachScheme(exchanges_weights);
  ASSERT_FALSE(arms.empty());
  const auto run = [&](const std::string& command, std::vector<std::string> more) {
    more.insert(more.end(), {"--arms", Joined(arms), "--workers", "3", "--steps", "21", "--json",
                             "--out", folder});
    const Finished finished = RunProgram(SmallRun(command, more));
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return json::parse(finished.out)["runs"];
  };
  const json real = run("compare", {});
  const json simulated = run("simulate", {"--network", "1gbit,50us", "--learn"});
  ASSERT_EQ(real.size(), arms.size());
  ASSERT_EQ(simulated.size(), arms.size());
  for (size_t arm = 0; arm < arms.size(); ++arm) {
    for (const char* figure : {"weights_sha256", "bytes_up_per_step", "final_loss",
                               "consensus_distance", "test_accuracy"})
      EXPECT_EQ(real[arm][figure], simulated[arm][figure]) << arms[arm] << " " << figure;
  }
}

TEST(Simulate, RunsStandBesideNoMeasuredRun) {
  const std::string folder = NewFolder("simulate_apart");
  const std::vector<std::string> both = {"--arms", "ring",      "--steps",   "20",    "--workers",
                                         "2",      "--network", "1gbit,1ms", "--out", folder};
  ASSERT_EQ(RunProgram(SmallRun("compare", both)).exit_code, 0);
  const Finished simulated = RunProgram(SmallRun("simulate", both));
  ASSERT_EQ(simulated.exit_code, 0) << simulated.err;
  EXPECT_THAT(simulated.out, HasSubstr("seconds are those of the cluster in the spec"));
  EXPECT_THAT(simulated.out, HasSubstr("network: simulated"));
  const Finished report = RunProgram({"report", folder, "--format", "md"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(report.out, HasSubstr("took place in simulated time"));
  EXPECT_THAT(report.out, HasSubstr("time = measured"));
  EXPECT_THAT(report.out, HasSubstr("time = simulated, 20ms a step"));
}

// One machine measures, any other simulates: from the file come the same figures.
TEST(Simulate, ComputesAsLongAsWasMeasured) {
  const std::string folder = NewFolder("simulate_measured"), times = folder + "/times.textproto";
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = SmallRun(
        "simulate", {"--racks", "2x2,uplink=1gbit", "--workers", "4", "--network", "1gbit,50us",
                     "--arms", "ring", "--steps", "20", "--out", folder, "--json"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(arguments);
  };
  const Finished measured = run({"--compute", "measured", "--keep-compute", times});
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  EXPECT_THAT(measured.err, HasSubstr("the measured times are in " + times));
  const json of_measured = json::parse(measured.out)["runs"][0];
  for (int time = 0; time < 2; ++time) {
    const Finished kept = run({"--compute", times});
    ASSERT_EQ(kept.exit_code, 0) << kept.err;
    const json run_of_kept = json::parse(kept.out)["runs"][0];
    EXPECT_GT(run_of_kept["step_ms_p50"], 0);
    EXPECT_EQ(run_of_kept["step_ms_p50"], of_measured["step_ms_p50"]);
    EXPECT_EQ(run_of_kept["simulation"]["compute"], times);
  }
  // Of another model, or of none.
  const Finished other = run({"--compute", times, "--set", "training.batch_per_worker=7"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("and the run is of 7"));
  const Finished missing = run({"--compute", folder + "/tines.textproto"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("did you mean " + times));
}

// A few workers learn how long encodings are, and any number play it.
TEST(Simulate, TakesTheSizesThatASmallerRunHasKept) {
  const std::string folder = NewFolder("simulate_sizes"), sizes = folder + "/sizes.textproto";
  const std::string ring = folder + "/ring.textproto", ps = folder + "/ps.textproto";
  const std::string codec = "codec { name: \"topk\" density: 0.1 rice_indices: true }\n";
  std::ofstream(ring) << "name: \"rice\" strategy { all_reduce {} } " << codec;
  std::ofstream(ps) << "name: \"rice\" strategy { parameter_server { servers: 1 } } " << codec;
  const auto run = [&](std::vector<std::string> more, const std::string& spec) {
    more.insert(more.begin(), {spec, "--steps", "8", "--out", folder + "/out", "--json"});
    return RunProgram(OnCluster(more));
  };
  const Finished learned = run({"--learn", "--keep-sizes", sizes}, ring);
  ASSERT_EQ(learned.exit_code, 0) << learned.err;
  EXPECT_THAT(learned.err, HasSubstr("the sizes of encodings are in " + sizes));
  const Finished played = run({"--sizes", sizes}, ring);
  ASSERT_EQ(played.exit_code, 0) << played.err;
  for (const char* figure : {"step_ms_p50", "bytes_up_per_step", "bytes_down_per_step"}) {
    EXPECT_EQ(json::parse(played.out)["runs"][0][figure],
              json::parse(learned.out)["runs"][0][figure])
        << figure;
  }
  EXPECT_THAT(std::string(json::parse(played.out)["notes"].dump()),
              HasSubstr(sizes + " (rice: 4 workers, synthetic, batches of 8)"));
  EXPECT_EQ(run({"--sizes", sizes, "--set", "training.workers=6"}, ring).exit_code, 0);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& why,
                           const std::string& spec) {
    const Finished finished = run(more, spec);
    EXPECT_EQ(finished.exit_code, 2) << why;
    EXPECT_THAT(finished.err, HasSubstr(why));
  };
  refused({"--sizes", sizes, "--set", "codec.density=0.5"}, "the sizes are of codec", ring);
  refused({"--sizes", sizes, "--set", "model.mlp_hidden=30"}, "the sizes are of model", ring);
  refused({"--sizes", sizes, "--set", "training.bucket_bytes=9000"}, "of buckets", ring);
  refused({"--sizes", sizes}, "the sizes are of servers 0, and the run is of 1", ps);
  refused({}, "add --learn, or --sizes FILE", ring);
  refused({"--keep-sizes", sizes}, "without --learn", ring);
  refused({"--arms", "ps,ring", "--learn", "--keep-sizes", sizes}, "there are 2 arms", ring);
  refused({"--learn", "--keep-sizes", folder + "/missing/sizes.textproto"}, "--keep-sizes", ring);
  std::ifstream whole(sizes);
  const std::string text((std::istreambuf_iterator<char>(whole)), {});
  std::ofstream(folder + "/half.textproto") << text.substr(0, text.size() / 2);
  refused({"--sizes", folder + "/half.textproto"}, "half.textproto:", ring);
}

// A grid of clusters by one command: each cell is another one where a step takes another time, and
// an interrupted sweep goes on.
TEST(Simulate, SweepsPlayTheirCells) {
  const std::string folder = NewFolder("simulate_sweep");
  const auto sweep = [&](const std::string& more) {
    const std::string file = folder + "/grid.textproto";
    std::ofstream(file) << "base { model { name: \"mlp\" mlp_hidden: 4 } data { name: "
                           "\"synthetic\" } training { workers: 8 steps: 20 warmup_steps: 2 } "
                           "transport { name: \"tcp\" network { megabits_per_second: 1000 } } }\n"
                           "axes { field: \"arm\" values: [\"ps\", \"ring\"] }\n"
                        << more;
    return RunProgram({"sweep", file, "--out", folder + "/out"});
  };
  const std::string two =
      "axes { field: \"compute\" values: [\"5ms\", \"lognormal(5ms,0.3)\"] } trials: 1\n";
  const Finished played = sweep(two + "simulate {}");
  ASSERT_EQ(played.exit_code, 0) << played.err;
  EXPECT_THAT(played.out, HasSubstr("lognormal(5ms,0.3)"));
  std::ifstream lines(folder + "/out/results.jsonl");
  std::string line;
  std::set<std::string> cells;
  std::map<std::string, double> step_ms;  // by arm and compute
  while (std::getline(lines, line)) {
    const json run = json::parse(line);
    cells.insert(run["sweep"]["cell"]);
    EXPECT_EQ(run["status"], "ok");
    step_ms[absl::StrCat(std::string(run["arm"]), std::string(run["simulation"]["compute"]))] =
        run["step_ms_p50"];
  }
  EXPECT_EQ(cells.size(), 6u);  // with what nothing is exchanged in
  // Who waits for all waits for the slowest.
  EXPECT_GT(step_ms["ringlognormal(5ms,0.3)"], 1.2 * step_ms["ring5ms"]);
  const Finished again = sweep(two + "simulate {}");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, testing::Not(HasSubstr("trial 0")));
  const auto refused = [&](const std::string& more, const std::string& why) {
    const Finished finished = sweep(more);
    EXPECT_EQ(finished.exit_code, 2) << why;
    EXPECT_THAT(finished.err, HasSubstr(why));
  };
  refused(two, "add simulate {}");
  refused("simulate { compute: \"fast\" }", "\"fast\"");
  refused("simulate { compute: \"measured\" }", "--keep-compute");
  refused("simulate { stop_at_accuracy: 0.9 }", "--learn");
  refused("simulate { learn: true stop_at_accuracy: 97 }", "stop_at_accuracy 97");
  refused("simulate { sizes: \"missing.textproto\" }", "file of sizes missing.textproto");
  refused("simulate {} tuning { budget_samples: 10 }", "exclude each other");
}

TEST(Simulate, MistakesAreNamedBeforeAnythingIsPlayed) {
  const std::string folder = NewFolder("simulate_mistakes") + "/results";
  const auto refused = [&](std::vector<std::string> arguments, const std::string& why) {
    arguments.insert(arguments.end(), {"--out", folder});
    const Finished finished = RunProgram(arguments);
    EXPECT_EQ(finished.exit_code, 2) << why;
    EXPECT_THAT(finished.err, HasSubstr(why));
  };
  refused(SmallRun("simulate", {"--arms", "ring"}), "--network 1gbit,50us");
  refused(SmallRun("simulate", {"--network", "1gbit", "--compute", "fast"}), "lognormal(20ms,0.3)");
  refused(OnCluster({"--stop-at-accuracy", "97", "--learn"}), "--stop-at-accuracy 97");
  refused(OnCluster({"--stop-at-accuracy", "0.97"}), "--learn");
  const auto is_of_a_library = [](const ArmUnderTest& arm) { return !arm.traits.engine.empty(); };
  for (const std::string& arm : ArmsThat(is_of_a_library))
    refused(OnCluster({"--arms", arm, "--learn"}), "arm " + arm);
  refused(OnCluster({"--columns", "speed"}), "--columns");
  refused(OnCluster({"--keep-compute", "times.textproto"}), "--compute measured");
  refused(OnCluster({"--racks", "3x2"}), "hold 6 workers, and the run has 4");
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Simulate, AnInterruptKeepsTheArmsThatAreDone) {
  const std::string folder = NewFolder("simulate_interrupted");
  Program simulate(OnCluster({"--arms", "ps,ring", "--steps", "5000000", "--out", folder}));
  ASSERT_TRUE(simulate.WaitForError("virtual s", Patience(60))) << simulate.ErrorSoFar();
  simulate.Signal(SIGINT);
  const Finished finished = simulate.Wait(Patience(30));
  EXPECT_EQ(finished.exit_code, 130) << finished.err;
}

}  // namespace
}  // namespace ringmaster
