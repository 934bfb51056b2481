#include "common/machine/confinement.h"

#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

Confinement On(const std::string& boot, const std::string& cpus) {
  Confinement process;
  process.set_boot_hash(boot);
  process.set_cpus(cpus);
  return process;
}

Confinement Held(Confinement process, double quota, uint64_t group) {
  process.set_cpu_quota(quota);
  process.set_quota_group(group);
  return process;
}

TEST(CountCores, MasksOfOneMachineCountTogether) {
  const UsableCores usable = CountCores({On("b", "0-2"), On("b", "2,4"), On("b", "3")});
  EXPECT_EQ(usable.cores, 5);
  EXPECT_EQ(usable.cpus, "0-4");
  EXPECT_FALSE(usable.quota.has_value());
}

TEST(CountCores, OtherMachinesHaveOtherCores) {
  EXPECT_EQ(CountCores({On("a", "0-1"), On("b", "0-1")}).cores, 4);
}

TEST(CountCores, AQuotaIsRoundedUpAndKeptExactly) {
  const UsableCores usable = CountCores({Held(On("b", "0-7"), 2.5, 1)});
  EXPECT_EQ(usable.cores, 3);
  EXPECT_EQ(usable.quota, 2.5);
  EXPECT_EQ(CountCores({Held(On("b", "0-7"), 2.0, 1)}).cores, 2);
  EXPECT_EQ(CountCores({Held(On("b", "0-1"), 6.0, 1)}).cores, 2);
}

TEST(CountCores, AQuotaThatProcessesShareCountsOnceAndQuotasOfTheirOwnAddUp) {
  const std::vector<Confinement> shared = {Held(On("b", "0-7"), 0.5, 1),
                                           Held(On("b", "0-7"), 0.5, 1)};
  EXPECT_EQ(CountCores(shared).cores, 1);
  EXPECT_EQ(CountCores(shared).quota, 0.5);
  const std::vector<Confinement> apart = {Held(On("b", "0-7"), 1.5, 1),
                                          Held(On("b", "0-7"), 1.5, 2)};
  EXPECT_EQ(CountCores(apart).cores, 3);
  EXPECT_EQ(CountCores(apart).quota, 3.0);
}

TEST(CountCores, AProcessWithoutAQuotaFreesItsMachine) {
  const UsableCores usable = CountCores({Held(On("b", "0-7"), 0.5, 1), On("b", "0-7")});
  EXPECT_EQ(usable.cores, 8);
  EXPECT_FALSE(usable.quota.has_value());
}

TEST(CountCores, NothingIsKnownOfNoProcess) {
  EXPECT_EQ(CountCores({}).cores, 0);
  EXPECT_EQ(CountCores({On("b", "")}).cores, 0);
}

TEST(ConfinementMeter, NotesTheMaskAndWhatTheQuotaDidMeanwhile) {
  const std::string root = testing::TempDir() + "/confinement";
  const auto write = [&root](const std::string& path, const std::string& text) {
    const std::filesystem::path file = root + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  };
  write("proc/self/cgroup", "0::/job\n");
  write("cgroup/job/cpu.max", "50000 100000\n");
  write("cgroup/job/memory.max", "1073741824\n");
  write("cgroup/job/cpu.stat", "nr_periods 100\nnr_throttled 50\nthrottled_usec 1000000\n");
  const ConfinementMeter meter({root + "/proc", root + "/cgroup"});
  write("cgroup/job/cpu.stat", "nr_periods 120\nnr_throttled 57\nthrottled_usec 1250000\n");
  const Confinement confinement = meter.End();
  EXPECT_EQ(confinement.cpu_quota(), 0.5);
  EXPECT_EQ(confinement.memory_limit_bytes(), 1073741824);
  EXPECT_EQ(confinement.quota_periods(), 20);
  EXPECT_EQ(confinement.throttled_periods(), 7);
  EXPECT_DOUBLE_EQ(confinement.throttled_seconds(), 0.25);
  EXPECT_NE(confinement.quota_group(), 0u);
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  Confinement alone = confinement;
  alone.clear_cpu_quota();
  EXPECT_EQ(CountCores({alone}).cores, CPU_COUNT(&set));
}

}  // namespace
}  // namespace ringmaster
