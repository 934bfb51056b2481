// Which processes share a host, as the coordinator numbers it.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/control/control_core.h"
#include "common/control/joins.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/control.pb.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;

struct Place {
  std::string boot_id;
  uint64_t network_namespace = 0;
  std::string endpoint;
};

Join JoinAt(const Place& place) {
  Join join;
  join.set_boot_id(place.boot_id);
  join.set_network_namespace(place.network_namespace);
  join.set_data_endpoint(place.endpoint);
  return join;
}

std::vector<int32_t> HostsAt(const std::vector<Place>& places) {
  std::vector<Join> joins;
  for (const Place& place : places) joins.push_back(JoinAt(place));
  return NumberHosts(joins);
}

TEST(Hosts, AreNumberedInTheOrderInWhichProcessesFirstNameThem) {
  EXPECT_THAT(HostsAt({{"b", 1, "10.0.0.9:1"},
                       {"a", 1, "10.0.0.1:1"},
                       {"b", 1, "10.0.0.9:2"},
                       {"c", 1, "10.0.0.2:1"},
                       {"a", 1, "10.0.0.1:2"}}),
              ElementsAre(0, 1, 0, 2, 1));
}

TEST(Hosts, DifferByBootAndByNetworkNamespace) {
  EXPECT_THAT(HostsAt({{"a", 1, "x:1"}, {"a", 2, "x:2"}, {"b", 1, "x:3"}, {"b", 2, "x:4"}}),
              ElementsAre(0, 1, 2, 3));
}

TEST(Hosts, AreToldApartByTheirAddressWhereTheSystemSaysNothing) {
  EXPECT_THAT(HostsAt({{"", 1, "10.0.0.1:1"},
                       {"", 2, "10.0.0.1:2"},
                       {"a", 0, "10.0.0.2:1"},
                       {"", 0, "[fe80::1]:1"},
                       {"", 0, "[fe80::1]:2"}}),
              ElementsAre(0, 0, 1, 2, 2));
  EXPECT_THAT(HostsAt({{"10.0.0.1", 1, "10.0.0.1:1"}, {"", 1, "10.0.0.1:2"}}), ElementsAre(0, 1))
      << "one says its boot, the other does not";
}

std::vector<int32_t> HostsIn(const ToProcess& message) {
  std::vector<int32_t> hosts;
  for (const ProcessEntry& entry : message.welcome().processes()) hosts.push_back(entry.host());
  return hosts;
}

// Process i of four says that it is on the machine names[i].
void JoinAll(const std::string& names, CoreRun* run) {
  for (int32_t i = 0; i < 4; ++i) {
    Join join = JoinOf(i, 4);
    join.set_data_endpoint(absl::StrCat("10.0.0.1:", 4000 + i));
    join.set_boot_id(names.substr(i, 1));
    join.set_network_namespace(7);
    ASSERT_TRUE(run->Join(join).ok());
  }
}

TEST(Hosts, AreWhatAllAreWelcomedWithAndKeepTheirNumbersWhenAProcessIsLost) {
  ControlRules rules = RulesOf(4);
  rules.losses.then = AfterLoss::kReform;
  rules.losses.reform_limit = absl::Seconds(20);
  CoreRun run(rules);
  EXPECT_FALSE(run.core().Processes()[0].host.has_value()) << "before all have joined";
  JoinAll("abcb", &run);
  for (int32_t i = 0; i < 4; ++i)
    EXPECT_THAT(HostsIn(run.heard(i).back()), ElementsAre(0, 1, 2, 1));
  EXPECT_EQ(run.core().Processes()[3].host, 1);
  run.witness.ended[1000] = "signal 9 (Killed)";
  run.Leave(0);
  run.Pass(absl::Seconds(1));
  for (const int32_t i : {1, 2, 3}) run.GetReady(i, 1, {5});
  for (const int32_t i : {1, 2, 3}) EXPECT_THAT(HostsIn(run.heard(i).back()), ElementsAre(1, 2, 1));
  EXPECT_EQ(run.core().Processes()[0].host, 0) << "the record names it all the same";
}

}  // namespace
}  // namespace ringmaster
