#include "common/machine/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Machine, CoresAreThoseThatTheProcessMayUse) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  const Machine machine = DescribeMachine();
  if (machine.has_cpu_quota()) {
    EXPECT_EQ(machine.cores(),
              std::min<int>(CPU_COUNT(&before), std::ceil(machine.cpu_quota() - 1e-9)));
  } else {
    EXPECT_EQ(machine.cores(), CPU_COUNT(&before));
  }
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(DescribeMachine().cores(), 1);
  EXPECT_EQ(DescribeMachine().cpus(), std::to_string(first));
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(Machine, IsDescribedWithoutNamingIt) {
  const Machine machine = DescribeMachine();
  EXPECT_FALSE(machine.cpu().empty());
  EXPECT_GT(machine.memory_bytes(), int64_t{64} << 20);
  EXPECT_EQ(machine.kernel().rfind("Linux ", 0), 0u);
  EXPECT_EQ(machine.host_hash().size(), 16u);
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  EXPECT_EQ(machine.DebugString().find(std::string("\"") + host + "\""), std::string::npos);
  EXPECT_EQ(machine.host_hash(), DescribeMachine().host_hash());
  EXPECT_EQ(machine.boot_hash().size(), 16u);
  std::string boot_id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot_id;
  EXPECT_EQ(machine.DebugString().find(boot_id), std::string::npos);
}

}  // namespace
}  // namespace ringmaster
