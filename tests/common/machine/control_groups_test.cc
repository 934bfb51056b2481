#include "common/machine/control_groups.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// The two file systems, as the kernel writes them, in a folder of the test.
class ControlGroups : public testing::Test {
 protected:
  void SetUp() override {
    Write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,cpuacct:/pods/one\n0::/slice/job\n");
  }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  ControlLimits Limits() { return ReadControlLimits({root_ + "/proc", root_ + "/cgroup"}); }

  const std::string root_ =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ControlGroups, OfVersionTwoTheTightestQuotaAroundIsTaken) {
  Write("cgroup/slice/job/cpu.max", "max 100000\n");
  Write("cgroup/slice/cpu.max", "150000 100000\n");
  EXPECT_EQ(Limits().cpu_quota, 1.5);
  EXPECT_EQ(Limits().cpu_file, root_ + "/cgroup/slice/cpu.max");
  Write("cgroup/slice/job/cpu.max", "25000 50000\n");
  EXPECT_EQ(Limits().cpu_quota, 0.5);
  EXPECT_EQ(Limits().cpu_group.folder, root_ + "/cgroup/slice/job");
}

TEST_F(ControlGroups, OfVersionOneTheQuotaIsReadWhereItsHierarchyIs) {
  Write("cgroup/cpu/pods/one/cpu.cfs_quota_us", "-1\n");
  Write("cgroup/cpu/pods/one/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(Limits().cpu_quota.has_value());
  Write("cgroup/cpu/pods/cpu.cfs_quota_us", "50000\n");
  Write("cgroup/cpu/pods/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Limits().cpu_quota, 0.5);
  EXPECT_EQ(Limits().cpu_group.version, 1);
}

TEST_F(ControlGroups, AContainerSeesItsGroupAsTheRoot) {
  Write("cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(Limits().cpu_quota, 3.0);
  Write("proc/self/cgroup", "0::/../sibling\n");
  EXPECT_EQ(Limits().cpu_quota, 3.0);
}

TEST_F(ControlGroups, MemoryLimitsThatAreNoneAreNone) {
  Write("proc/self/cgroup", "4:memory:/pods/one\n0::/slice/job\n");
  Write("cgroup/memory/pods/one/memory.limit_in_bytes", "9223372036854771712\n");
  Write("cgroup/slice/job/memory.max", "max\n");
  EXPECT_FALSE(Limits().memory_bytes.has_value());
  Write("cgroup/slice/memory.max", "67108864\n");
  EXPECT_EQ(Limits().memory_bytes, 67108864);
  EXPECT_EQ(Limits().memory_file, root_ + "/cgroup/slice/memory.max");
}

TEST_F(ControlGroups, ThrottlingIsReadInTheUnitsOfEachVersion) {
  Write("two/cpu.stat", "usage_usec 9\nnr_periods 80\nnr_throttled 37\nthrottled_usec 1500000\n");
  Write("one/cpu.stat", "nr_periods 80\nnr_throttled 37\nthrottled_time 1500000000\n");
  for (const char* name : {"two", "one"}) {
    const Throttling throttling = ReadThrottling({root_ + "/" + name});
    EXPECT_EQ(throttling.periods, 80) << name;
    EXPECT_EQ(throttling.throttled, 37) << name;
    EXPECT_DOUBLE_EQ(throttling.seconds, 1.5) << name;
  }
}

TEST_F(ControlGroups, NothingIsFoundWhereTheSystemTellsNothing) {
  EXPECT_FALSE(Limits().cpu_quota.has_value());
  EXPECT_FALSE(Limits().memory_bytes.has_value());
  EXPECT_EQ(ReadThrottling({root_}).periods, 0);
}

}  // namespace
}  // namespace ringmaster
