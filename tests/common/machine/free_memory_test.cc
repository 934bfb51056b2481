#include "common/machine/free_memory.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// The two file systems, as the kernel writes them, in a folder of the test.
class FreeMemory : public testing::Test {
 protected:
  void SetUp() override {
    Write("proc/meminfo", "MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n");
    Write("proc/self/cgroup", "4:memory:/pods/one\n0::/slice/job\n");
    Write("cgroup/slice/job/memory.max", "max\n");
  }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::optional<int64_t> Free() { return FreeMemoryBytes({root_ + "/proc", root_ + "/cgroup"}); }

  const std::string root_ =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(FreeMemory, WithoutLimitsIsWhatTheSystemCallsAvailable) {
  Write("cgroup/slice/job/memory.current", "3000\n");
  EXPECT_EQ(Free(), 4096000);
}

TEST_F(FreeMemory, IsWhatTheTightestGroupLeavesWithUnusedFilePagesCountedAsFree) {
  Write("cgroup/slice/memory.max", "2000000\n");
  Write("cgroup/slice/memory.current", "500000\n");
  EXPECT_EQ(Free(), 1500000);
  Write("cgroup/slice/memory.stat", "anon 1\ninactive_file 100000\nactive_file 7\n");
  EXPECT_EQ(Free(), 1600000);
  Write("cgroup/memory/pods/one/memory.limit_in_bytes", "1000000\n");
  Write("cgroup/memory/pods/one/memory.usage_in_bytes", "1000400\n");
  EXPECT_EQ(Free(), 0);
}

TEST_F(FreeMemory, IsUnknownWhereTheSystemDoesNotSay) {
  Write("proc/meminfo", "MemTotal: 8000 kB\n");
  EXPECT_FALSE(Free().has_value());
}

}  // namespace
}  // namespace ringmaster
