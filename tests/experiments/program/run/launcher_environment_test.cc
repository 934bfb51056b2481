#include "experiments/program/run/launcher_environment.h"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr LauncherNumber kNumbers[] = {LauncherNumber::kRank, LauncherNumber::kWorldSize,
                                       LauncherNumber::kLocalRank};
constexpr const char* kPlain[] = {"RANK", "WORLD_SIZE", "LOCAL_RANK"};
constexpr const char* kOfMpirun[] = {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                     "OMPI_COMM_WORLD_LOCAL_RANK"};
constexpr const char* kOfHydra[] = {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"};
constexpr const char* kOfSrun[] = {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"};

// Every test starts with none of the variables set.
class LauncherEnvironmentTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"MASTER_ADDR", "MASTER_PORT", kTokenVariable, "XDG_CACHE_HOME", "HOME",
                             "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE", "SLURM_STEP_ID",
                             "JOB_COMPLETION_INDEX", "PMIX_RANK"}) {
      unsetenv(name);
    }
    for (int i = 0; i < 3; ++i) {
      for (const auto& names : {kPlain, kOfMpirun, kOfHydra, kOfSrun}) unsetenv(names[i]);
    }
  }
  static void Set(const char* name, const char* value) { setenv(name, value, 1); }

  static void ExpectError(const absl::Status& status, const std::vector<std::string>& texts) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    for (const std::string& text : texts) {
      EXPECT_NE(status.message().find(text), absl::string_view::npos)
          << status << " lacks " << text;
    }
  }
};

TEST_F(LauncherEnvironmentTest, SaysNothingWhereNothingIsSet) {
  for (const LauncherNumber number : kNumbers) {
    const auto value = ReadFromLauncher(number);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_FALSE(value->has_value());
  }
  EXPECT_FALSE(ReadCoordinator()->has_value());
  EXPECT_FALSE(ReadEnvironment().token.has_value());
  EXPECT_EQ(WhyMasterPortMayBeTaken(), "");
}

TEST_F(LauncherEnvironmentTest, EveryLaunchersVariablesAreTaken) {
  for (const auto& names : {kPlain, kOfMpirun, kOfHydra, kOfSrun}) {
    SetUp();
    Set("SLURM_STEP_ID", "0");
    for (int i = 0; i < 3; ++i) Set(names[i], std::to_string(i + 2).c_str());
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ((*ReadFromLauncher(kNumbers[i]))->value, i + 2) << names[i];
  }
}

TEST_F(LauncherEnvironmentTest, TwoLaunchersThatAgreeAreTaken) {
  Set("RANK", "1");
  Set("OMPI_COMM_WORLD_RANK", "01");
  EXPECT_EQ((*ReadFromLauncher(LauncherNumber::kRank))->value, 1);
}

TEST_F(LauncherEnvironmentTest,
       TwoLaunchersThatContradictEachOtherAreNamedWithTheirValuesAndTheFlagThatDecides) {
  const std::vector<std::string> flags = {"--rank", "--world-size", "--device"};
  for (int i = 0; i < 3; ++i) {
    SetUp();
    Set(kPlain[i], "1");
    Set(kOfMpirun[i], "2");
    ExpectError(
        ReadFromLauncher(kNumbers[i]).status(),
        {std::string(kPlain[i]) + "=1", std::string(kOfMpirun[i]) + "=2", "contradict", flags[i]});
    // A leader that has started mpirun itself knows whose word counts.
    EXPECT_EQ((*ReadFromMpirun(kNumbers[i]))->value, 2);
  }
}

// srun starts mpirun's, hydra's and torchrun's helpers on the machines of a job: one a machine.
TEST_F(LauncherEnvironmentTest, TheInnermostLauncherIsTaken) {
  for (const auto& names : {kPlain, kOfMpirun, kOfHydra}) {
    SetUp();
    if (names == kPlain) Set("TORCHELASTIC_RUN_ID", "x");
    Set("JOB_COMPLETION_INDEX", "4");
    Set("SLURM_STEP_ID", "0");
    for (int i = 0; i < 3; ++i) Set(kOfSrun[i], "1"), Set(names[i], "2");
    for (int i = 0; i < 3; ++i) {
      const LauncherWord word = **ReadFromLauncher(kNumbers[i]);
      EXPECT_EQ(word.value, 2);
      EXPECT_EQ(word.variable, names[i]);
    }
    const std::vector<std::string> others = NotTaken(LauncherNumber::kRank);
    ASSERT_EQ(others.size(), 2u);
    EXPECT_EQ(others[0], "SLURM_PROCID=1 (of Slurm's srun, which has started the launcher)");
  }
}

// By hand, or by an image: nobody can know whose it is.
TEST_F(LauncherEnvironmentTest, APlainRankContradictsEveryLauncher) {
  for (const auto& names : {kOfMpirun, kOfHydra, kOfSrun}) {
    SetUp();
    Set("SLURM_STEP_ID", "0");
    Set("MPI_LOCALRANKID", "0");
    Set("RANK", "1");
    Set(names[0], "2");
    ExpectError(ReadFromLauncher(LauncherNumber::kRank).status(),
                {"RANK=1", std::string(names[0]) + "=2", "contradict"});
  }
}

TEST_F(LauncherEnvironmentTest, ABatchScriptIsNoStep) {
  for (int i = 0; i < 3; ++i) Set(kOfSrun[i], "0");
  EXPECT_FALSE(ReadFromLauncher(LauncherNumber::kRank)->has_value());
  const std::vector<std::string> others = NotTaken(LauncherNumber::kRank);
  ASSERT_EQ(others.size(), 1u);
  EXPECT_NE(others[0].find("SLURM_PROCID=0"), std::string::npos) << others[0];
  EXPECT_NE(others[0].find("SLURM_STEP_ID"), std::string::npos) << others[0];
}

TEST_F(LauncherEnvironmentTest, ARankWithoutASizeIsKubernetesOrIsNamed) {
  Set("PMIX_RANK", "1");
  EXPECT_FALSE(ReadFromLauncher(LauncherNumber::kRank)->has_value());
  EXPECT_EQ(NotTaken(LauncherNumber::kRank),
            std::vector<std::string>{"PMIX_RANK=1 (no size stands beside it)"});
  Set("JOB_COMPLETION_INDEX", "3");
  EXPECT_EQ((*ReadFromLauncher(LauncherNumber::kRank))->value, 3);
  EXPECT_FALSE(ReadFromLauncher(LauncherNumber::kWorldSize)->has_value());
  Set("WORLD_SIZE", "5");
  EXPECT_EQ((*ReadFromLauncher(LauncherNumber::kWorldSize))->value, 5);
}

TEST_F(LauncherEnvironmentTest, AVariableThatIsNotAskedForIsNotJudged) {
  Set("RANK", "3");
  Set("WORLD_SIZE", "many");
  Set("LOCAL_RANK", "none");
  Set("MASTER_PORT", "tcp://10.96.0.1:29500");
  Set("RINGMASTER_TOKEN", "abc");
  Set("HOME", "/home/someone");
  EXPECT_EQ((*ReadFromLauncher(LauncherNumber::kRank))->value, 3);
  EXPECT_EQ(ReadEnvironment().token, "abc");
  EXPECT_EQ(ReadEnvironment().default_data_dir, "/home/someone/.cache/ringmaster");
}

TEST_F(LauncherEnvironmentTest, AnEmptyVariableIsNoVariable) {
  Set("RANK", "");
  Set("RINGMASTER_TOKEN", "");
  EXPECT_FALSE(ReadFromLauncher(LauncherNumber::kRank)->has_value());
  EXPECT_FALSE(ReadEnvironment().token.has_value());
}

TEST_F(LauncherEnvironmentTest, ABadNumberIsNamedWithItsValue) {
  for (int i = 0; i < 3; ++i) {
    for (const char* value : {"two", "-1", "1.5", "99999999999", "3x"}) {
      SetUp();
      Set(kPlain[i], value);
      ExpectError(ReadFromLauncher(kNumbers[i]).status(), {std::string(kPlain[i]) + "=\"" + value});
    }
  }
}

TEST_F(LauncherEnvironmentTest, TheCoordinatorIsAnAddressAndAPort) {
  for (const auto& [address, host] :
       std::vector<std::pair<const char*, const char*>>{{"10.0.0.1", "10.0.0.1"},
                                                        {"job-0.example", "job-0.example"},
                                                        {"fd00::1", "fd00::1"},
                                                        {"[::1]", "::1"}}) {
    Set("MASTER_ADDR", address);
    Set("MASTER_PORT", "29500");
    const auto coordinator = ReadCoordinator();
    ASSERT_TRUE(coordinator.ok()) << coordinator.status();
    EXPECT_TRUE(**coordinator == (HostPort{host, 29500})) << (*coordinator)->ToString();
  }
}

TEST_F(LauncherEnvironmentTest, HalfACoordinatorIsNamedWithTheHalfThatLacks) {
  Set("MASTER_ADDR", "10.0.0.1");
  ExpectError(ReadCoordinator().status(),
              {"MASTER_ADDR=\"10.0.0.1\"", "MASTER_PORT is not", "--coordinator"});
  SetUp();
  Set("MASTER_PORT", "29500");
  ExpectError(ReadCoordinator().status(),
              {"MASTER_PORT=\"29500\"", "MASTER_ADDR is not", "--coordinator"});
}

TEST_F(LauncherEnvironmentTest, KubernetesPortIsNamedAsItsOwn) {
  for (const char* address : {"", "10.0.0.1"}) {
    Set("MASTER_ADDR", address);
    Set("MASTER_PORT", "tcp://10.96.0.1:29500");
    ExpectError(ReadCoordinator().status(),
                {"tcp://10.96.0.1:29500", "Kubernetes", "enableServiceLinks", "--coordinator"});
  }
}

TEST_F(LauncherEnvironmentTest, AnAddressWithAPortAndAPortThatNoMachineHasAreNamed) {
  Set("MASTER_ADDR", "10.0.0.1:29500");
  Set("MASTER_PORT", "29500");
  ExpectError(ReadCoordinator().status(), {"MASTER_ADDR=\"10.0.0.1:29500\"", "without a port"});
  Set("MASTER_ADDR", "10.0.0.1");
  Set("MASTER_PORT", "70000");
  ExpectError(ReadCoordinator().status(), {"MASTER_PORT=\"70000\""});
}

TEST_F(LauncherEnvironmentTest, WhereTorchrunsAgentListensTheNextPortIsTaken) {
  Set("MASTER_ADDR", "10.0.0.1");
  Set("MASTER_PORT", "29500");
  Set("TORCHELASTIC_USE_AGENT_STORE", "False");
  EXPECT_EQ((*ReadCoordinator())->port, 29500);
  Set("TORCHELASTIC_USE_AGENT_STORE", "True");
  EXPECT_EQ((*ReadCoordinator())->port, 29501);
  Set("MASTER_PORT", "65535");
  ExpectError(ReadCoordinator().status(), {"MASTER_PORT=\"65535\""});
}

TEST_F(LauncherEnvironmentTest, TorchrunsAgentIsKnownByItsVariable) {
  Set("TORCHELASTIC_RUN_ID", "x");
  EXPECT_NE(WhyMasterPortMayBeTaken().find("torchrun's agent"), std::string::npos);
}

TEST_F(LauncherEnvironmentTest, AnArrayTasksShareIsCountedFromTheFirst) {
  constexpr const char* kNames[] = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT",
                                    "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"};
  const auto read = [&](const std::vector<const char*>& values) {
    for (const char* name : kNames) unsetenv(name);
    for (size_t i = 0; i < values.size(); ++i) {
      if (*values[i] != '\0') Set(kNames[i], values[i]);
    }
    return ReadArrayTask();
  };
  ASSERT_TRUE(read({}).ok());
  EXPECT_FALSE(read({})->has_value());
  const struct {
    std::vector<const char*> values;
    int index;
  } kCases[] = {{{"3", "4", "0"}, 3},       // --array=0-3
                {{"1", "4", "1", "1"}, 0},  // --array=1-4
                {{"5", "3", "1", "2"}, 2},  // --array=1-5:2
                {{"7", "1", "7"}, 0}};
  for (const auto& [values, index] : kCases) {
    const auto task = read(values);
    ASSERT_TRUE(task.ok() && task->has_value()) << task.status();
    EXPECT_EQ((*task)->index, index);
    EXPECT_EQ((*task)->count, std::stoi(values[1]));
  }
  // --array=1,5,6
  ExpectError(read({"6", "3", "1", "1"}).status(), {"SLURM_ARRAY_TASK_ID=6", "--shard I/N"});
  ExpectError(read({"0", "3", "1"}).status(), {"SLURM_ARRAY_TASK_MIN=1"});
  ExpectError(read({"2", "3", "1", "2"}).status(), {"SLURM_ARRAY_TASK_STEP=2"});
  ExpectError(read({"2"}).status(), {"SLURM_ARRAY_TASK_COUNT is not"});
  ExpectError(read({"two", "3", "1"}).status(), {"SLURM_ARRAY_TASK_ID=\"two\""});
}

}  // namespace
}  // namespace ringmaster
