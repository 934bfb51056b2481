#include "common/transport/auto_fabric.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

bool OneHost(const std::vector<std::string>& endpoints) {
  std::vector<ProcessAddress> processes;
  for (const std::string& endpoint : endpoints) processes.push_back({endpoint, {}});
  return AreOnOneHost(processes);
}

TEST(AreOnOneHost, HoldsForOneAddressWhateverThePorts) {
  EXPECT_TRUE(OneHost({}));
  EXPECT_TRUE(OneHost({"10.0.0.1:4000"}));
  EXPECT_TRUE(OneHost({"10.0.0.1:4000", "10.0.0.1:4001", "10.0.0.1:4002"}));
  EXPECT_TRUE(OneHost({"[2001:db8::1]:4000", "[2001:db8::1]:4001"}));
}

TEST(AreOnOneHost, HoldsForAnyLoopbackAddresses) {
  EXPECT_TRUE(OneHost({"127.0.0.1:4000", "127.0.1.1:4000", "[::1]:4000"}));
  EXPECT_TRUE(OneHost({"[::1]:4000", "127.0.0.1:4000"}));
}

TEST(AreOnOneHost, FailsWhenOneProcessIsElsewhereWhereverItStands) {
  EXPECT_FALSE(OneHost({"10.0.0.1:4000", "10.0.0.1:4001", "10.0.0.2:4000"}));
  EXPECT_FALSE(OneHost({"10.0.0.2:4000", "10.0.0.1:4001", "10.0.0.1:4000"}));
  EXPECT_FALSE(OneHost({"127.0.0.1:4000", "10.0.0.1:4000"}));
  EXPECT_FALSE(OneHost({"10.0.0.1:4000", "127.0.0.1:4000"}));
}

TEST(AreOnOneHost, TakesNoAddressForAnotherThatItBeginsWith) {
  EXPECT_FALSE(OneHost({"10.0.0.1:4000", "10.0.0.10:4000"}));
  EXPECT_FALSE(OneHost({"[2001:db8::1]:4000", "[2001:db8::11]:4000"}));
  EXPECT_FALSE(OneHost({"[::1]:4000", "[::11]:4000"}));
}

}  // namespace
}  // namespace ringmaster
