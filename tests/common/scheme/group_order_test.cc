// The order in which workers stand in the groups of collectives: what it may be, and what is made
// of it once hosts are known.
#include "common/scheme/group_order.h"

#include <string>
#include <vector>

#include "common/base/problems.h"
#include "common/collective/hierarchical.h"
#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The arm with four workers and this order, resolved; empty: nobody says one.
RunSpec ArmWith(const std::string& arm, const std::string& order) {
  RunSpec base;
  base.mutable_training()->set_workers(4);
  base.mutable_training()->set_steps(10);
  base.mutable_data()->set_name("synthetic");
  RunSpec spec = *MakeArm(arm, base);
  if (!order.empty()) spec.mutable_strategy()->set_group_order(order);
  return *Resolve(spec, {});
}

std::string WrongWith(const std::string& arm, const std::string& order) {
  const RunSpec spec = ArmWith(arm, order);
  Problems problems;
  CheckGroupOrder(spec.strategy(), TraitsOf(spec), &problems);
  return std::string(problems.ToStatus().message());
}

TEST(GroupOrder, FollowsHostsUnlessItIsSaidOfAllThatHaveACollectiveOfOurs) {
  int with = 0;
  for (const std::string& arm : AllArms()) {
    const SchemeTraits traits = DescribeArm(arm).traits;
    if (!traits.engine.empty()) continue;
    const bool has_collective = !traits.collective.empty();
    EXPECT_EQ(ArmWith(arm, "").strategy().group_order(), has_collective ? "hosts" : "") << arm;
    EXPECT_EQ(WrongWith(arm, ""), "") << arm;
    EXPECT_EQ(WrongWith(arm, "hosts"), "") << arm;
    for (const char* order : {"ranks", "3,0,2,1"}) {
      if (has_collective) {
        EXPECT_EQ(WrongWith(arm, order), "") << arm;
      } else {
        EXPECT_THAT(WrongWith(arm, order), HasSubstr("leave it out")) << arm;
      }
    }
    with += has_collective ? 1 : 0;
  }
  EXPECT_GE(with, 14);
  EXPECT_EQ(WrongWith("all-reduce-gloo", ""), "");
  EXPECT_THAT(WrongWith("all-reduce-gloo", "3,0,2,1"), HasSubstr("\"gloo\" orders its ranks"));
}

TEST(GroupOrder, OfAListIsRefusedUnlessItHasEachRankOnceAndSaysWhatIsWrong) {
  EXPECT_THAT(WrongWith("ring", "0,1,2"), HasSubstr("rank 3 is missing"));
  EXPECT_THAT(WrongWith("ring", "0,1,2,2"), HasSubstr("rank 2 is there twice"));
  EXPECT_THAT(WrongWith("ring", "0,1,2,4"), HasSubstr("there is no rank 4"));
  EXPECT_THAT(WrongWith("ring", "0,1,2,-1"), HasSubstr("there is no rank -1"));
  for (const char* order : {"host", "0,1,,2", "0 1 2 3", "0,1|2,3"})
    EXPECT_THAT(WrongWith("ring", order), HasSubstr("this is no list; expected \"hosts\""))
        << order;
}

TEST(GroupOrder, OfAnArmIsTheBasesWhereTheArmHasACollective) {
  RunSpec base;
  base.mutable_training()->set_workers(4);
  base.mutable_strategy()->set_group_order("3,2,1,0");
  EXPECT_EQ(MakeArm("ring", base)->strategy().group_order(), "3,2,1,0");
  EXPECT_EQ(MakeArm("local-sgd", base)->strategy().group_order(), "3,2,1,0");
  EXPECT_EQ(MakeArm("ps", base)->strategy().group_order(), "");
  EXPECT_EQ(MakeArm("gossip", base)->strategy().group_order(), "");
}

TEST(GroupOrder, ByHostsHasThoseOfAHostTogetherAndByRankWithinIt) {
  EXPECT_EQ(FormedGroupOrder("hosts", {0, 1, 0, 1}), "0,2|1,3");
  EXPECT_EQ(FormedGroupOrder("hosts", {0, 0, 1, 1}), "0,1|2,3");
  EXPECT_EQ(FormedGroupOrder("", {2, 0, 1, 0}), "1,3|2|0");
  EXPECT_EQ(FormedGroupOrder("hosts", {0, 0, 0}), "0,1,2");
  EXPECT_EQ(FormedGroupOrder("ranks", {0, 1, 0, 1}), "0|1|2|3");
  EXPECT_EQ(FormedGroupOrder("3,1,0,2", {0, 1, 0, 1}), "3,1|0,2");
  EXPECT_EQ(FormedGroupOrder("0|1,3|2", {5, 5, 5, 5}), "0,1,3,2") << "it is formed anew";
}

TEST(GroupOrder, SaysWhoStandsAtWhichPlace) {
  EXPECT_THAT(RanksByPlace("3,1|0,2", 4), ElementsAre(3, 1, 0, 2));
  EXPECT_EQ(PlaceOfRank("3,1|0,2", 4, 0), 2);
  for (const char* order : {"", "hosts", "ranks"}) {
    EXPECT_THAT(RanksByPlace(order, 3), ElementsAre(0, 1, 2));
    EXPECT_EQ(PlaceOfRank(order, 3, 1), 1);
  }
}

// Of hosts with so many ranks each.
int32_t SizeOf(const std::vector<int32_t>& ranks_of_hosts, const std::string& order = "hosts") {
  std::vector<int32_t> hosts;
  for (size_t host = 0; host < ranks_of_hosts.size(); ++host)
    hosts.insert(hosts.end(), ranks_of_hosts[host], static_cast<int32_t>(host));
  const auto workers = static_cast<int32_t>(hosts.size());
  return GroupSizeFor("hierarchical", FormedGroupOrder(order, hosts), workers);
}

TEST(GroupSize, IsTheLargestOfWhichEveryHostHasWholeGroups) {
  EXPECT_EQ(SizeOf({2, 2}), 2);
  EXPECT_EQ(SizeOf({3, 3}), 3);
  EXPECT_EQ(SizeOf({4, 2}), 2);
  EXPECT_EQ(SizeOf({6, 9, 3}), 3);
  EXPECT_EQ(SizeOf({8, 8}), 8);
}

TEST(GroupSize, IsTheUsualOneOfOneHostAndWhereHostsHaveNoCommonDivisor) {
  EXPECT_EQ(SizeOf({8}), DefaultGroupSize(8));
  EXPECT_EQ(SizeOf({3, 4}), DefaultGroupSize(7));
  EXPECT_EQ(SizeOf({1, 1, 1, 1}), DefaultGroupSize(4));
  EXPECT_EQ(SizeOf({2, 1, 1, 2}), DefaultGroupSize(6));
  EXPECT_EQ(GroupSizeFor("hierarchical", "hosts", 6), DefaultGroupSize(6)) << "before all joined";
  EXPECT_EQ(GroupSizeFor("ring", "0,1|2,3", 4), 0);
  EXPECT_EQ(GroupSizeFor("hierarchical", "", 0), 0);
}

TEST(GroupSize, IsThatOfNeighboursWhereAnOrderTearsHostsApart) {
  EXPECT_EQ(SizeOf({4, 4}, "0,1,4,5,2,3,6,7"), 2);
  EXPECT_EQ(SizeOf({4, 4}, "0,4,1,5,2,6,3,7"), DefaultGroupSize(8));
}

TEST(GroupSize, IsTheSpecsWhereItSaysOne) {
  RunSpec spec = ArmWith("hierarchical", "");
  EXPECT_FALSE(spec.strategy().all_reduce().has_group_size()) << "hosts are not known yet";
  EXPECT_EQ(TraitsOf(spec).group_size, 2);
  spec.mutable_training()->set_workers(6);
  spec.mutable_strategy()->set_group_order("0,1,2|3,4,5");
  EXPECT_EQ(TraitsOf(spec).group_size, 3);
  spec.mutable_strategy()->mutable_all_reduce()->set_group_size(2);
  EXPECT_EQ(TraitsOf(spec).group_size, 2);
}

TEST(GroupOrder, OfThoseLeftKeepsTheRestOfAListAndTheRule) {
  EXPECT_EQ(OrderOfThoseLeft("3,1,0,2", {0, 2, 3}), "2,0,1");
  EXPECT_EQ(OrderOfThoseLeft("hosts", {0, 2, 3}), "hosts");
  EXPECT_EQ(OrderOfThoseLeft("ranks", {0, 2, 3}), "ranks");
  EXPECT_EQ(OrderOfThoseLeft("", {0, 2, 3}), "");
  RunSpec spec = ArmWith("ring", "3,1,0,2");
  spec.mutable_training()->set_batch_per_worker(12);
  const auto reformed = ReformedSpec(spec, {0, 2, 3});
  ASSERT_TRUE(reformed.ok()) << reformed.status();
  EXPECT_EQ(reformed->strategy().group_order(), "2,0,1");
}

}  // namespace
}  // namespace ringmaster
