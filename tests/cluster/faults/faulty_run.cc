#include "tests/cluster/faults/faulty_run.h"

#include <signal.h>

#include <atomic>
#include <filesystem>
#include <regex>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/arms.h"
#include "tests/support/family_pipe.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int64_t kSteps = 100;
// Beyond any end that is not a hang: a silent process is noticed within a second of a quiet
// machine.
constexpr absl::Duration kDeadline = Patience(15);

template <typename T>
const T& OneOf(const std::vector<T>& choices, Random* random) {
  return choices[random->Below(choices.size())];
}

std::string NodeOf(const ArmUnderTest& arm, const FaultyRun& run, Random* random) {
  const bool has_one_worker = arm.traits.workers == 1;
  // The traits are of two workers: where each of them has a server, so have more.
  const bool has_servers_each = arm.traits.servers_beside_workers && arm.traits.servers > 1;
  const int32_t servers = has_servers_each ? run.workers : arm.traits.servers;
  const int32_t workers = has_one_worker ? 1 : run.workers;
  const auto node = static_cast<int32_t>(random->Below(workers + servers));
  return node < workers ? absl::StrCat("worker:", node) : absl::StrCat("server:", node - workers);
}

void ChooseFault(const ArmUnderTest& arm, Random* random, FaultyRun* run) {
  const std::string node = NodeOf(arm, *run, random);
  const std::string moment = random->Below(4) == 0
                                 ? absl::StrCat("@seconds=", 0.6 * random->Uniform())
                                 : absl::StrCat("@step=", random->Below(kSteps));
  std::vector<std::string> actions = {"kill", "kill", "kill", "stop", "stop 200ms"};
  if (arm.traits.processes > 1) actions.insert(actions.end(), {"cut", "cut"});
  if (node[0] == 'w') actions.push_back("slow 3");
  const std::string action = OneOf(actions, random);
  run->fault = absl::StrCat(node, moment, " ", action);
  run->ends_process = action == "kill" || action == "stop" || action == "cut";
}

void ChooseLaunchersFault(Random* random, FaultyRun* run) {
  run->launcher = OneOf<FaultyRun::Launcher>(
      {FaultyRun::Launcher::kKilled, FaultyRun::Launcher::kKilled, FaultyRun::Launcher::kTold,
       FaultyRun::Launcher::kStoppedForAWhile},
      random);
  run->moment = absl::Milliseconds(20 + random->Below(800));
}

// Files of a finished run that are neither its records nor empty folders; nor, where it may be
// resumed, its checkpoints.
std::vector<std::string> FilesLeft(const std::string& folder, bool may_be_resumed) {
  std::vector<std::string> left;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder);
    const bool is_record = name.rfind("results.", 0) == 0 ||
                           (name.rfind("records/", 0) == 0 && entry.path().extension() == ".pb");
    const bool is_kept = may_be_resumed && name.rfind("checkpoints/", 0) == 0;
    if (!entry.is_directory() && !is_record && !is_kept) left.push_back(name);
  }
  return left;
}

// A rank that a busy machine gave no processor for as long as silence may last: no fault of the
// run.
bool IsStarved(const Finished& finished) {
  return finished.exit_code == 1 && finished.out.find("no heartbeat for") != std::string::npos;
}

// What a line of the outcome says of the fault.
struct Told {
  bool done = false;
  absl::Duration until_the_end;
};

Told ReadTold(const std::string& out) {
  static const std::regex* const kLine = new std::regex(
      R"(, done [0-9.]+ s after all had joined; the run was over ([0-9.]+) s later)");
  std::smatch found;
  Told told;
  told.done = std::regex_search(out, found, *kLine);
  double seconds = 0;
  if (told.done && absl::SimpleAtod(found[1].str(), &seconds))
    told.until_the_end = absl::Seconds(seconds);
  return told;
}

// "worker:1@step=50 kill": "worker/1"
std::string VictimOf(const std::string& fault) {
  std::string node = fault.substr(0, fault.find('@'));
  node[node.find(':')] = '/';
  return node;
}

// A failed run's status says who, and where in the run that was.
void ExpectNamed(const FaultyRun& run, const std::string& out) {
  EXPECT_THAT(out, HasSubstr(run.arm + " failed: "));
  EXPECT_THAT(out, testing::ContainsRegex("(worker|server)/[0-9]+"));
  const bool by_step = run.fault.find("@step=") != std::string::npos;
  if (!by_step) return;  // it may have come before the first step or behind the last
  EXPECT_THAT(out, testing::AllOf(HasSubstr("step="), HasSubstr("phase=")));
  // What was cut the other end may be the first to notice.
  if (run.fault.find(" cut") == std::string::npos && run.ends_process) {
    EXPECT_THAT(out, HasSubstr(VictimOf(run.fault)));
  }
}

Sighting JudgeRanksFault(const FaultyRun& run, const Finished& finished) {
  Sighting sighting;
  const Told told = ReadTold(finished.out);
  EXPECT_TRUE(told.done || finished.out.find(": its moment never came") != std::string::npos ||
              finished.out.find(", not done (") != std::string::npos);
  const bool failed = finished.exit_code != 0;
  if (failed) {
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_TRUE(told.done || IsStarved(finished)) << "nothing was done to it, and it failed";
    ExpectNamed(run, finished.out);
  }
  if (!told.done || !run.ends_process) return sighting;
  const bool may_be_over = run.fault.find("@seconds=") != std::string::npos ||
                           run.fault.find(" cut") != std::string::npos;
  const bool must_fail = run.on_failure == "ABORT" && !may_be_over;
  EXPECT_TRUE(failed || !must_fail) << "it lost a process and ended well";
  const bool must_restart =
      run.on_failure == "RESTART" && run.fault.find(" kill") != std::string::npos;
  EXPECT_TRUE(!failed || !must_restart || IsStarved(finished)) << "it was not started again";
  sighting.went_on = !failed;
  const bool closes = run.fault.find(" stop") == std::string::npos;
  if (failed && closes && run.on_failure == "ABORT") {
    sighting.detection = told.until_the_end;
    EXPECT_LT(told.until_the_end, AtThisLoad(absl::Seconds(1)));
  }
  return sighting;
}

void DoToLauncher(const FaultyRun& run, const Program& program) {
  const auto wait = [](absl::Duration time) { WaitUntil(time, [] { return false; }); };
  wait(run.moment);
  switch (run.launcher) {
    case FaultyRun::Launcher::kLeftAlone:
      return;
    case FaultyRun::Launcher::kKilled:
      return program.Signal(SIGKILL);
    case FaultyRun::Launcher::kTold:
      return program.Signal(SIGTERM);
    case FaultyRun::Launcher::kStoppedForAWhile:
      program.Signal(SIGSTOP);
      wait(absl::Milliseconds(300));
      return program.Signal(SIGCONT);
  }
}

}  // namespace

std::string FaultyRun::Text() const {
  const char* const kLaunchers[] = {"", "launcher killed", "launcher told to end",
                                    "launcher stopped for a while"};
  return absl::StrCat("seed ", seed, ": ", arm, " by ", transport, ", ", workers, " workers, ",
                      on_failure, makes_checkpoints ? " from checkpoints, " : ", ",
                      fault.empty() ? absl::StrCat(kLaunchers[static_cast<int>(launcher)],
                                                   " after ", absl::FormatDuration(moment))
                                    : fault);
}

std::vector<std::string> FaultyRun::Arguments(const std::string& out) const {
  std::vector<std::string> more = {"--arms",
                                   arm,
                                   "--workers",
                                   absl::StrCat(workers),
                                   "--steps",
                                   absl::StrCat(kSteps),
                                   "--transport",
                                   transport,
                                   "--emulate",
                                   "2",
                                   "--evaluate-every",
                                   "0",
                                   "--out",
                                   out};
  for (const std::string& setting :
       {std::string("training.batch_per_worker=6"),  // of 4 workers too, those left divide it
        std::string("limits.wait_seconds=3"), std::string("limits.heartbeat_seconds=0.2"),
        absl::StrCat("training.seed=", seed)})
    more.insert(more.end(), {"--set", setting});
  if (on_failure != "ABORT")
    more.insert(more.end(), {"--set", absl::StrCat("strategy.on_failure=", on_failure)});
  if (makes_checkpoints) more.insert(more.end(), {"--checkpoint-every", "30"});
  if (!fault.empty()) more.insert(more.end(), {"--fault", fault});
  return SmallRun("compare", more);
}

FaultyRun RunOfSeed(uint64_t seed) {
  // Built once: thousands of seeds ask.
  static const auto* const kArms = new std::vector<std::string>(ArmsThat(RunsEverywhere));
  static const auto* const kTransports = new std::vector<std::string>(ProcessTransports());
  Random random(MixSeed(seed, 0x6661756c74));
  FaultyRun run;
  run.seed = seed;
  // Far apart in the list for seeds that follow each other: a few seeds meet many schemes.
  run.arm = (*kArms)[seed * 37 % kArms->size()];
  run.transport = OneOf(*kTransports, &random);
  run.workers = random.Below(3) == 0 ? 4 : 2;
  const ArmUnderTest arm = DescribeArm(run.arm);
  std::vector<std::string> answers = {"ABORT", "RESTART"};
  if (arm.traits.may_continue) answers.push_back("CONTINUE");
  // Threads of one process are refused by name.
  if (arm.traits.may_reform && arm.traits.processes > 1) answers.push_back("REFORM");
  run.on_failure = OneOf(answers, &random);
  run.makes_checkpoints = run.on_failure == "RESTART" && random.Below(2) == 0;
  if (random.Below(6) == 0) {
    ChooseLaunchersFault(&random, &run);
  } else {
    ChooseFault(arm, &random, &run);
  }
  return run;
}

Sighting MakeFaultyRun(const FaultyRun& run) {
  const std::string folder = NewFolder("faulty");
  const std::vector<std::string> arguments = run.Arguments(folder);
  SCOPED_TRACE(run.Text());
  FamilyPipe family;
  Program program(arguments, {absl::StrCat("TMPDIR=", folder)}, [&family] { family.Join(); });
  family.Close();
  if (run.fault.empty()) DoToLauncher(run, program);
  const Finished finished = program.Wait(kDeadline);
  EXPECT_NE(finished.exit_code, -1) << "it hangs: " << family.Members();
  if (finished.exit_code == -1) program.Signal(SIGKILL);
  Sighting sighting;
  if (!run.fault.empty()) {
    sighting = JudgeRanksFault(run, finished);
  } else {
    const int expected = run.launcher == FaultyRun::Launcher::kKilled ? 128 + SIGKILL
                         : run.launcher == FaultyRun::Launcher::kTold ? 128 + SIGTERM
                                                                      : 0;
    // It may have been quicker.
    EXPECT_TRUE(finished.exit_code == expected || finished.exit_code == 0 || IsStarved(finished))
        << finished.exit_code;
  }
  EXPECT_TRUE(family.AwaitTheLast(Patience(5))) << "left: " << family.Members();
  const bool may_be_resumed = run.makes_checkpoints && finished.exit_code != 0;
  EXPECT_THAT(FilesLeft(folder, may_be_resumed), testing::IsEmpty());
  static std::atomic<int> tellings{5};  // of the first failure, not of all runs behind it
  if (testing::Test::HasFailure() && tellings-- > 0) {
    ADD_FAILURE() << "ringmaster '" << absl::StrJoin(arguments, "' '") << "'\n"
                  << finished.out << finished.err;
  }
  std::error_code error;
  fs::remove_all(folder, error);
  return sighting;
}

std::vector<std::string> SharedMemoryLeft() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev/shm", error)) {
    const std::string name = entry.path().filename();
    if (name.find("ringmaster") != std::string::npos) names.push_back(name);
  }
  return names;
}

}  // namespace ringmaster
