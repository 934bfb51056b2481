#include "experiments/launch/launcher_environment.h"

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// Every test starts with none of the variables set.
class LauncherEnvironmentTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", kTokenVariable,
                             "XDG_CACHE_HOME", "HOME", "OMPI_COMM_WORLD_RANK",
                             "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"}) {
      unsetenv(name);
    }
  }
  static void Set(const char* name, const char* value) { setenv(name, value, 1); }
};

TEST_F(LauncherEnvironmentTest, SaysNothingWhereNothingIsSet) {
  const auto environment = ReadLauncherEnvironment();
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_FALSE(environment->rank.has_value());
  EXPECT_FALSE(environment->world_size.has_value());
  EXPECT_FALSE(environment->local_rank.has_value());
  EXPECT_FALSE(environment->coordinator.has_value());
  EXPECT_FALSE(environment->token.has_value());
}

TEST_F(LauncherEnvironmentTest, MpirunsVariablesStandInForThoseThatAreNotSet) {
  Set("OMPI_COMM_WORLD_RANK", "2");
  Set("OMPI_COMM_WORLD_SIZE", "4");
  Set("OMPI_COMM_WORLD_LOCAL_RANK", "1");
  Set("WORLD_SIZE", "8");
  const auto environment = ReadLauncherEnvironment();
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_EQ(environment->rank, 2);
  EXPECT_EQ(environment->world_size, 8);
  EXPECT_EQ(environment->local_rank, 1);
}

TEST_F(LauncherEnvironmentTest, ReadsEveryVariable) {
  Set("RANK", "3");
  Set("WORLD_SIZE", "8");
  Set("LOCAL_RANK", "0");
  Set("MASTER_ADDR", "10.0.0.1");
  Set("MASTER_PORT", "29500");
  Set("RINGMASTER_TOKEN", "abc");
  Set("HOME", "/home/someone");
  const auto environment = ReadLauncherEnvironment();
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_EQ(environment->rank, 3);
  EXPECT_EQ(environment->world_size, 8);
  EXPECT_EQ(environment->local_rank, 0);
  EXPECT_EQ(environment->coordinator, "10.0.0.1:29500");
  EXPECT_EQ(environment->token, "abc");
  EXPECT_EQ(environment->default_data_dir, "/home/someone/.cache/ringmaster");
}

TEST_F(LauncherEnvironmentTest, AnEmptyVariableIsNoVariable) {
  Set("RANK", "");
  Set("RINGMASTER_TOKEN", "");
  const auto environment = ReadLauncherEnvironment();
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_FALSE(environment->rank.has_value());
  EXPECT_FALSE(environment->token.has_value());
}

TEST_F(LauncherEnvironmentTest, AnAddressWithoutAPortIsNoCoordinator) {
  Set("MASTER_ADDR", "10.0.0.1");
  EXPECT_FALSE(ReadLauncherEnvironment()->coordinator.has_value());
}

TEST_F(LauncherEnvironmentTest, AnAddressWithColonsIsPutInBrackets) {
  Set("MASTER_ADDR", "fd00::1");
  Set("MASTER_PORT", "29500");
  EXPECT_EQ(ReadLauncherEnvironment()->coordinator, "[fd00::1]:29500");
}

TEST_F(LauncherEnvironmentTest, ABadNumberIsNamedWithItsValue) {
  for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"}) {
    for (const char* value : {"two", "-1", "1.5", "99999999999", "3x"}) {
      SCOPED_TRACE(std::string(name) + "=" + value);
      SetUp();
      Set("MASTER_ADDR", "10.0.0.1");
      Set(name, value);
      const absl::Status status = ReadLauncherEnvironment().status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find(std::string(name) + "=\"" + value), absl::string_view::npos) << status;
    }
  }
}

TEST_F(LauncherEnvironmentTest, APortThatNoMachineHasIsNamed) {
  Set("MASTER_ADDR", "10.0.0.1");
  Set("MASTER_PORT", "70000");
  const absl::Status status = ReadLauncherEnvironment().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("MASTER_PORT=\"70000\""), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace ringmaster
