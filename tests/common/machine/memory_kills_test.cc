#include "common/machine/memory_kills.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The two file systems, as the kernel writes them, in a folder of the test.
class MemoryKillsTest : public testing::Test {
 protected:
  void SetUp() override {
    Write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/pods/one\n0::/slice/job\n");
  }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  MemoryKills Kills() { return MemoryKills({root_ + "/proc", root_ + "/cgroup"}); }

  const std::string root_ =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(MemoryKillsTest, OfVersionTwoCountFromTheBeginningAndNameTheTightestLimit) {
  Write("cgroup/slice/job/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
  Write("cgroup/slice/job/memory.max", "max\n");
  Write("cgroup/slice/memory.max", "67108864\n");
  const MemoryKills kills = Kills();
  EXPECT_EQ(kills.Found(), "");
  Write("cgroup/slice/job/memory.events", "low 0\noom 3\noom_kill 5\noom_group_kill 0\n");
  EXPECT_THAT(kills.Found(), AllOf(HasSubstr("oom_kill rose by 3"), HasSubstr("64 MiB"),
                                   HasSubstr("/slice/memory.max")));
}

TEST_F(MemoryKillsTest, OfVersionOneAreReadWhereItsHierarchyIs) {
  Write("cgroup/memory/pods/one/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  Write("cgroup/memory/pods/one/memory.limit_in_bytes", "2147483648\n");
  const MemoryKills kills = Kills();
  Write("cgroup/memory/pods/one/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  EXPECT_THAT(kills.Found(), AllOf(HasSubstr("rose by 1"), HasSubstr("2.0 GiB")));
}

TEST_F(MemoryKillsTest, AContainerSeesItsGroupAsTheRoot) {
  Write("cgroup/memory.events", "oom_kill 0\n");
  const MemoryKills kills = Kills();
  Write("cgroup/memory.events", "oom_kill 1\n");
  EXPECT_THAT(kills.Found(), HasSubstr("the machine's memory ran out"));
}

TEST_F(MemoryKillsTest, NothingIsFoundWhereTheSystemTellsNothing) {
  EXPECT_EQ(Kills().Found(), "");
}

}  // namespace
}  // namespace ringmaster
