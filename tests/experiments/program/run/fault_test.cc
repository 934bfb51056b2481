#include "experiments/program/run/faults/fault.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Fault Parsed(const std::string& text) {
  const absl::StatusOr<Fault> fault = ParseFault(text);
  EXPECT_TRUE(fault.ok()) << text << ": " << fault.status();
  return fault.value_or(Fault());
}

TEST(Fault, SaysWhomWhenAndWhat) {
  const Fault kill = Parsed("worker:1@step=50 kill");
  EXPECT_EQ(ToString(kill.target), "worker/1");
  EXPECT_EQ(kill.step, 50);
  EXPECT_EQ(kill.action, Fault::Action::kKill);
  const Fault stop = Parsed("  server:0@seconds=2.5   stop  3s ");
  EXPECT_EQ(ToString(stop.target), "server/0");
  EXPECT_FALSE(stop.step.has_value());
  EXPECT_EQ(stop.seconds, 2.5);
  EXPECT_EQ(stop.action, Fault::Action::kStop);
  EXPECT_EQ(stop.lasts, absl::Seconds(3));
  EXPECT_EQ(stop.text, "server:0@seconds=2.5 stop 3s");
  EXPECT_FALSE(Parsed("worker:0@step=0 stop").lasts.has_value());
  EXPECT_EQ(Parsed("worker:0@step=0 slow 2.5").factor, 2.5);
  EXPECT_EQ(Parsed("worker:0@step=0 cut").action, Fault::Action::kCut);
}

TEST(Fault, AMistakeIsNamedWithAnExample) {
  struct Mistake {
    const char* text;
    std::vector<std::string> names;
  };
  const std::vector<Mistake> mistakes = {
      {"", {"WHO@WHEN WHAT"}},
      {"worker:1@step=50", {"WHO@WHEN WHAT"}},
      {"wroker:1@step=50 kill", {"\"wroker\"", "did you mean \"worker\""}},
      {"worker@step=50 kill", {"which worker?"}},
      {"worker:-1@step=50 kill", {"which worker?"}},
      {"worker:99999999999@step=50 kill", {"which worker?"}},
      {"worker:1 kill", {"when?", "@step=STEP"}},
      {"worker:1@stpe=50 kill", {"\"stpe=50\"", "did you mean \"step\""}},
      {"worker:1@step=-1 kill", {"\"step=-1\"", "from 0 on"}},
      {"worker:1@step=soon kill", {"\"step=soon\""}},
      {"worker:1@seconds=nan kill", {"\"seconds=nan\""}},
      {"worker:1@seconds=-1 kill", {"\"seconds=-1\""}},
      {"worker:1@step=50 kil", {"\"kil\"", "did you mean \"kill\"", "kill, stop, slow, cut"}},
      {"worker:1@step=50 kill now", {"nothing is expected behind kill"}},
      {"worker:1@step=50 stop 3", {"stop \"3\"", "stop 3s"}},
      {"worker:1@step=50 stop -3s", {"stop \"-3s\""}},
      {"worker:1@step=50 slow", {"slow", "slow 2"}},
      {"worker:1@step=50 slow 1", {"slow \"1\"", "above 1"}},
      {"worker:1@step=50 slow inf", {"slow \"inf\""}},
      {"server:0@step=50 slow 2", {"server/0", "workers alone"}},
  };
  for (const Mistake& mistake : mistakes) {
    const absl::StatusOr<Fault> fault = ParseFault(mistake.text);
    EXPECT_TRUE(absl::IsInvalidArgument(fault.status())) << mistake.text;
    EXPECT_THAT(fault.status().message(), HasSubstr("as in '")) << mistake.text;
    for (const std::string& name : mistake.names)
      EXPECT_THAT(fault.status().message(), HasSubstr(name)) << mistake.text;
  }
  const std::string longer(kFaultTextLimit + 1, 'x');
  EXPECT_THAT(ParseFault(longer).status().message(), HasSubstr("101 letters, at most 100"));
}

FaultedArm Arm(const std::string& name, int32_t workers, int32_t servers, int32_t processes) {
  FaultedArm arm;
  arm.name = name;
  arm.traits.workers = workers;
  arm.traits.servers = servers;
  arm.traits.processes = processes;
  arm.steps = {0, 10};
  return arm;
}

TEST(Faults, AreOfTheArmsThatHaveTheNode) {
  FaultedArm mpi = Arm("mpi", 2, 0, 2);
  mpi.traits.engine = "mpi";
  const std::vector<FaultedArm> arms = {Arm("single", 1, 0, 1), Arm("dp", 2, 1, 1),
                                        Arm("ps", 2, 1, 3), mpi};
  const std::vector<Fault> faults = {Parsed("worker:1@step=9 kill"), Parsed("server:0@step=0 stop"),
                                     Parsed("worker:0@seconds=1 cut")};
  EXPECT_TRUE(CheckFaults(faults, arms).ok());
  EXPECT_THAT(
      FaultLines(faults, arms),
      ElementsAre("worker:1@step=9 kill: in dp, ps, mpi; not in single: it has no worker/1",
                  "server:0@step=0 stop: in dp, ps; not in single: it has no server/0; not in mpi: "
                  "it has no server/0",
                  AllOf(HasSubstr("worker:0@seconds=1 cut: in ps; "), HasSubstr("one process"),
                        HasSubstr("not in mpi: its sums go by mpi"))));
  EXPECT_EQ(FaultsIn(arms[0].traits, faults).size(), 0u);
  EXPECT_EQ(FaultsIn(arms[1].traits, faults).size(), 2u);
  EXPECT_EQ(FaultsIn(arms[2].traits, faults).size(), 3u);
}

TEST(Faults, ThatNoArmCanHaveAreRefused) {
  std::vector<FaultedArm> arms = {Arm("ring", 2, 0, 2), Arm("solo", 2, 0, 2)};
  EXPECT_THAT(CheckFaults({Parsed("worker:2@step=5 kill")}, arms).message(),
              AllOf(HasSubstr("--fault 'worker:2@step=5 kill'"),
                    HasSubstr("ring: it has no worker/2"), HasSubstr("solo: it has no worker/2")));
  EXPECT_THAT(CheckFaults({Parsed("worker:1@step=10 kill")}, arms).message(),
              HasSubstr("no step 10 is to be made: the run has steps 0 to 9"));
  for (FaultedArm& arm : arms) arm.steps.begin = 6;  // they go on from a checkpoint
  EXPECT_THAT(CheckFaults({Parsed("worker:1@step=5 kill")}, arms).message(),
              HasSubstr("steps 6 to 9"));
}

TEST(Faults, WhatIsGivenIsNamedInAMistake) {
  EXPECT_THAT(ReadFaults({"worker:0@step=1 kill", "worker:1@step=1 kick"}).status().message(),
              HasSubstr("--fault 'worker:1@step=1 kick': \"kick\""));
}

}  // namespace
}  // namespace ringmaster
