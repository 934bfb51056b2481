#include "experiments/study/results/machines.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kGigabyte = 1000 * 1000 * 1000;

Machine Of(const std::string& host, const std::string& boot, const std::string& id = "") {
  Machine machine;
  machine.set_host_hash(host);
  machine.set_boot_hash(boot);
  machine.set_machine_hash(id);
  machine.set_cpu("cpu");
  machine.set_memory_bytes(8 * kGigabyte);
  return machine;
}

std::vector<int> NumbersOf(const std::vector<Machine>& machines) {
  std::vector<const Machine*> pointers;
  for (const Machine& machine : machines) pointers.push_back(&machine);
  return MachineNumbers(pointers);
}

TEST(MachineNumbers, OneBootIsOneMachineWhateverItsNamesAndIds) {
  EXPECT_THAT(NumbersOf({Of("a1", "b", "i"), Of("a2", "b", "j"), Of("a3", "b")}),
              ElementsAre(0, 0, 0));
}

TEST(MachineNumbers, OtherBootsAreOneMachineIfIdProcessorAndMemoryAgree) {
  EXPECT_THAT(NumbersOf({Of("a", "b", "i"), Of("a", "c", "i")}), ElementsAre(0, 0));
  EXPECT_THAT(NumbersOf({Of("a", "b", "i"), Of("a", "c", "j")}), ElementsAre(0, 1));
  EXPECT_THAT(NumbersOf({Of("a", "b"), Of("a", "c")}), ElementsAre(0, 1));
  Machine other = Of("a", "c", "i");
  other.set_cpu("another");
  EXPECT_THAT(NumbersOf({Of("a", "b", "i"), other}), ElementsAre(0, 1));
  other = Of("a", "c", "i");
  other.set_memory_bytes(8 * kGigabyte + kGigabyte / 50);
  EXPECT_THAT(NumbersOf({Of("a", "b", "i"), other}), ElementsAre(0, 0));
  other.set_memory_bytes(9 * kGigabyte);
  EXPECT_THAT(NumbersOf({Of("a", "b", "i"), other}), ElementsAre(0, 1));
}

TEST(MachineNumbers, ARebootedMachineIsFoundByAnyOfItsContainers) {
  EXPECT_THAT(
      NumbersOf({Of("a1", "b", "i"), Of("x", "y", "z"), Of("a2", "b", "j"), Of("a3", "c", "j")}),
      ElementsAre(0, 1, 0, 0));
}

TEST(MachineNumbers, RecordsWithoutABootAreToldApartByTheirHostNames) {
  EXPECT_THAT(NumbersOf({Of("a", ""), Of("b", ""), Of("a", "")}), ElementsAre(0, 1, 0));
  EXPECT_THAT(NumbersOf({Of("a", ""), Of("b", "x"), Of("a", "y")}), ElementsAre(0, 1, 0));
}

TEST(MachineNumbers, AnOldRecordDoesNotMakeTwoMachinesOne) {
  EXPECT_THAT(NumbersOf({Of("a", "x"), Of("a", ""), Of("a", "y")}), ElementsAre(0, 0, 1));
}

TEST(CountMachines, IsTheirNumber) {
  const Machine a = Of("a", "x"), b = Of("b", "y");
  EXPECT_EQ(CountMachines({}), 0);
  EXPECT_EQ(CountMachines({&a, &b, &a}), 2);
}

}  // namespace
}  // namespace ringmaster
