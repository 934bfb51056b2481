// `compare` gives its arms turns: all of their processes live, and all but one arm's are parked.

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

json ObjectOf(const Finished& finished) {
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(object.is_object()) << finished.out;
  return object;
}

std::map<std::string, json> ByArm(const json& object) {
  std::map<std::string, json> runs;
  for (const json& run : object["runs"]) runs[run["arm"]] = run;
  return runs;
}

// The ranks of the arms of a running comparison, arm by arm as they were started.
std::vector<pid_t> RanksNamed(pid_t parent, const std::string& name) {
  std::vector<pid_t> ranks;
  for (const pid_t child : ChildrenOf(parent)) {
    if (absl::StrContains(CommandLineOf(child), name)) ranks.push_back(child);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

// Computing time of all threads of a process; /proc/PID/stat would round it to 10 ms.
absl::Duration CpuOf(pid_t process) {
  clockid_t clock;
  timespec time{};
  EXPECT_EQ(clock_getcpuclockid(process, &clock), 0);
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return absl::DurationFromTimespec(time);
}

json Compare(const std::string& arms, const std::vector<std::string>& more) {
  std::vector<std::string> arguments =
      SmallRun("compare", {"--arms", arms, "--steps", "250", "--json", "--out", NewFolder("out")});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ObjectOf(RunProgram(arguments));
}

// Arms in the order in which they had their turns.
std::vector<std::string> OrderOf(const json& object) {
  std::vector<std::pair<double, std::string>> turns;
  for (const json& run : object["runs"]) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    std::vector<int64_t> ends;
    for (const json& turn : run["turns"]) {
      turns.emplace_back(turn["begin_seconds"], run["arm"]);
      ends.push_back(turn["end_step"]);
    }
    EXPECT_THAT(ends, ElementsAre(100, 200, 250)) << run["arm"];
  }
  std::sort(turns.begin(), turns.end());
  std::vector<std::string> order;
  for (const auto& [begin, arm] : turns) order.push_back(arm);
  return order;
}

// The order of three turns of each of two arms.
std::vector<std::string> Rounds(const std::string& first, const std::string& second) {
  return {first, second, first, second, first, second};
}

TEST(Turns, InterleaveAndChangeNoBits) {
  const json in_turns = Compare("ps,ring", {}), one_by_one = Compare("ps,ring", {"--no-turns"});
  EXPECT_EQ(in_turns["turns"], true);
  EXPECT_TRUE(in_turns["why_no_turns"].is_null());
  EXPECT_EQ(one_by_one["turns"], false);
  EXPECT_EQ(one_by_one["why_no_turns"], "--no-turns");
  EXPECT_EQ(OrderOf(in_turns), Rounds("ps", "ring"));
  auto with = ByArm(in_turns), without = ByArm(one_by_one);
  for (const char* arm : {"ps", "ring"}) {
    EXPECT_EQ(with[arm]["weights_sha256"], without[arm]["weights_sha256"]) << arm;
    EXPECT_FALSE(without[arm].contains("turns")) << arm;
  }
}

TEST(Turns, ThePlanSaysWhetherThereWouldBeAny) {
  const auto plan = [](const std::string& arms, const std::vector<std::string>& more) {
    std::vector<std::string> arguments =
        SmallRun("compare", {"--plan", "--arms", arms, "--steps", "20"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(arguments).out;
  };
  EXPECT_THAT(plan("ps,ring", {}), HasSubstr("# these arms would take turns\n"));
  EXPECT_THAT(plan("ps,ring", {"--no-turns"}),
              HasSubstr("# these arms would run one after the other: --no-turns\n"));
  EXPECT_THAT(plan("ring", {}), Not(HasSubstr("these arms")));
}

TEST(Turns, StalenessStaysWithinItsBound) {
  const json object = Compare("async,ssp", {"--workers", "3"});
  EXPECT_EQ(OrderOf(object), Rounds("async", "ssp"));
  const json ssp = ByArm(object)["ssp"];
  const int64_t bound = ssp["spec"]["strategy"]["parameter_server"]["staleness_bound"];
  // Each of the two others is at most `bound` clocks ahead, and as many behind what was read.
  EXPECT_LE(ssp["staleness_max"].get<int64_t>(), 2 * (2 * bound + 1));
}

// The record's own lines: which steps are not timed, and no clock of training runs while others
// have their turns.
TEST(Turns, FirstStepsAreNotTimedAndOthersTurnsAreOnNoClock) {
  const std::string out = NewFolder("out");
  const json object = ObjectOf(
      RunProgram(SmallRun("compare", {"--arms", "ring,async", "--steps", "220", "--evaluate-every",
                                      "1600", "--json", "--out", out})));
  std::ifstream lines(out + "/results.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const json run = json::parse(line, nullptr, false);
    double own = 0;
    for (const json& turn : run["turns"]) own += turn["seconds"].get<double>();
    for (const json& evaluation : run["evaluations"])
      EXPECT_LT(evaluation["seconds"].get<double>(), own) << run["arm"];
    for (const json& series : run["series"]) {
      double steps = 0;
      for (const json& ms : series["step_ms"]) steps += ms.get<double>() / 1000;
      EXPECT_LT(steps, own) << run["arm"];
      if (run["arm"] == "async") {
        // Its turns are told in steps of two lots, of which each worker claims its part.
        EXPECT_GT(series["untimed_steps"].size(), 0u);
      } else {
        EXPECT_EQ(series["untimed_steps"], json({100, 101, 102, 200, 201, 202})) << run["arm"];
      }
    }
  }
  EXPECT_EQ(count, 2);
}

// Each arm is parked for about twice as long as any wait may last.
TEST(Turns, NoLimitRunsWhileAnArmIsParked) {
  const Finished finished =
      RunProgram(SmallRun("compare", {"--arms", "ps,async", "--steps", "120", "--emulate", "20",
                                      "--out", NewFolder("out"), "--set", "limits.wait_seconds=1",
                                      "--set", "limits.heartbeat_seconds=0.1"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("arms took turns"));
}

// While a rank of the ring is suspended in its turn, the server's arm is parked.
TEST(Turns, AParkedProcessUsesNoProcessorAndAnArmThatHangsLeavesTheOthers) {
  const std::string out = NewFolder("out");
  Program program(
      SmallRun("compare", {"--arms", "ring,ps", "--steps", "4000", "--evaluate-every", "0", "--out",
                           out, "--json", "--set", "limits.heartbeat_seconds=0.5"}));
  ASSERT_TRUE(program.WaitForError(" step ", Patience(60))) << program.ErrorSoFar();
  const std::vector<pid_t> last = RanksNamed(program.pid(), "worker/1");
  ASSERT_EQ(last.size(), 2u);
  kill(last[0], SIGSTOP);
  std::vector<pid_t> parked = {last[1]};
  for (const char* name : {"worker/0", "server/0"})
    parked.push_back(RanksNamed(program.pid(), name).back());
  // After a moment the turn is the ring's, which holds it until it is found to be silent.
  const auto pass = [](absl::Duration time) { WaitUntil(time, [] { return false; }); };
  pass(absl::Seconds(1));
  std::vector<absl::Duration> before;
  for (const pid_t rank : parked) before.push_back(CpuOf(rank));
  pass(absl::Seconds(3));
  // Heartbeats and timers take some milliseconds; a thread that looks every 2 ms took 30.
  for (size_t i = 0; i < parked.size(); ++i)
    EXPECT_LT(CpuOf(parked[i]) - before[i], absl::Milliseconds(15)) << CommandLineOf(parked[i]);
  const Finished finished = program.Wait(Patience(30));
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  auto runs = ByArm(json::parse(finished.out, nullptr, false));
  EXPECT_THAT(runs["ring"]["status"].get<std::string>(), HasSubstr("no heartbeat"));
  EXPECT_EQ(runs["ps"]["status"], "ok");
}

TEST(Turns, AnArmThatFailsIsToldAndKeptWhileOthersRun) {
  const std::string out = NewFolder("out");
  Program program(SmallRun("compare", {"--arms", "ring,ps", "--steps", "100000000",
                                       "--evaluate-every", "0", "--out", out}));
  ASSERT_TRUE(program.WaitForError(" step ", Patience(60))) << program.ErrorSoFar();
  const std::vector<pid_t> last = RanksNamed(program.pid(), "worker/1");
  ASSERT_EQ(last.size(), 2u);
  kill(last[1], SIGKILL);
  EXPECT_TRUE(program.WaitForError("failed: UNAVAILABLE: worker/1", Patience(30)))
      << program.ErrorSoFar();
  std::ifstream kept(out + "/results.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(kept, line));
  EXPECT_EQ(json::parse(line)["arm"], "ps");
  EXPECT_EQ(ChildrenOf(program.pid()).size(), 2u) << "the ring goes on";
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(Patience(10)).exit_code, 130);
}

TEST(Turns, AnInterruptEndsAllArmsWithinTwoSeconds) {
  Program program(SmallRun("compare", {"--arms", "ring,ps", "--steps", "100000000",
                                       "--evaluate-every", "0", "--out", NewFolder("out")}));
  ASSERT_TRUE(program.WaitForError(" step ", Patience(60))) << program.ErrorSoFar();
  ExpectInterruptEndsSoon(&program, 2 + 3);
}

TEST(Turns, TheGateComparesTheFirstTurnWithTheLast) {
  const auto compare = [](std::vector<std::string> more) {
    more.insert(more.end(), {"--arms", "single,solo", "--steps", "300", "--out", NewFolder("out")});
    return RunProgram(SmallRun("compare", more));
  };
  const Finished passed = compare({"--gate", "1000"});
  EXPECT_EQ(passed.exit_code, 0) << passed.err;
  EXPECT_THAT(passed.out, HasSubstr("gate passed: a step of single"));
  EXPECT_THAT(passed.out, HasSubstr("steps 0 to 99 and of 200 to 299"));
  // With this seed 41 of the first turn's 90 timed steps are delayed, and 61 of the last one's 97.
  const Finished failed =
      compare({"--gate", "50", "--seed", "1", "--set",
               "training.slowdowns=[{ranks: 0 random {probability: 0.5 milliseconds: 2}}]"});
  EXPECT_EQ(failed.exit_code, 3) << failed.err << failed.out;
  EXPECT_THAT(failed.out, HasSubstr("not quotable: a step of single"));
}

}  // namespace
}  // namespace ringmaster
