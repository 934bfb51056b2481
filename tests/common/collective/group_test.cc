// Collectives of groups that are not all workers of a run, over real fabrics.
#include "common/collective/group.h"

#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "gtest/gtest.h"
#include "tests/common/collective/executor_ranks.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

// `workers`, each in a process of its own where `transport` crosses processes.
FabricGroup Join(const std::string& transport, int workers) {
  FabricOptions options;
  options.name = transport;
  const bool in_one = transport == "inproc";
  absl::StatusOr<FabricGroup> group =
      JoinFabrics(options, in_one ? std::vector<int>{workers} : std::vector<int>(workers, 1));
  EXPECT_TRUE(group.ok()) << group.status();
  return *std::move(group);
}

std::vector<Floats> Of(const std::vector<Floats>& all, const Group& group) {
  std::vector<Floats> given;
  for (const NodeId& node : group.nodes) given.push_back(all[node.index]);
  return given;
}

TEST(Group, ARankIsAPlaceInTheList) {
  const Group all = AllWorkers(3);
  EXPECT_EQ(all.ranks(), 3);
  EXPECT_EQ(all.RankOf(Worker(2)), 2);
  const Group odd = {{Worker(3), Worker(1), {Role::kServer, 1}}, 5};
  EXPECT_EQ(odd.RankOf(Worker(1)), 1);
  EXPECT_EQ(odd.RankOf({Role::kServer, 1}), 2);
}

TEST(GroupDeathTest, AStrangerHasNoRank) {
  EXPECT_DEATH(AllWorkers(3).RankOf({Role::kServer, 0}), "ranks");
}

TEST(Group, EachHalfOfAClusterSumsItsOwnInTheOrderOfItsList) {
  constexpr int kNodes = 6;
  for (const std::string transport : {"tcp", "shm"}) {
    FabricGroup fabrics = Join(transport, kNodes);
    const std::vector<Floats> given = RandomGradients(kNodes, 5003, 1);
    // Neither starts at worker/0 and ends at its last, nor ascends. One channel does: no pair of
    // nodes is in both.
    const Group halves[] = {{{Worker(4), Worker(0), Worker(5)}},
                            {{Worker(1), Worker(3), Worker(2)}}};
    std::vector<Floats> data = given;
    OnAllRanks(kNodes, 1, [&](int32_t node) {
      for (const Group& half : halves) {
        if (absl::c_count(half.nodes, Worker(node)) == 0) continue;
        CollectiveExecutor executor(fabrics.worker(node), half, kLimit);
        EXPECT_EQ(half.nodes[executor.rank()], Worker(node));
        const absl::Status status =
            executor.AllReduce(*Create("direct"), 0, 0, ElementType::kFloat32, Bytes(data[node]));
        EXPECT_TRUE(status.ok()) << status;
      }
    });
    for (const Group& half : halves) {
      const Floats sum = SumInRankOrder(Of(given, half));
      for (const NodeId& node : half.nodes)
        EXPECT_EQ(data[node.index], sum) << transport << " " << ToString(node);
    }
  }
}

TEST(Group, ChannelsKeepCollectivesOfOneStepAndBucketApart) {
  constexpr int kNodes = 4;
  for (const std::string& transport : AllTransports()) {
    FabricGroup fabrics = Join(transport, kNodes);
    // Each pair of nodes is in both.
    const Group groups[] = {AllWorkers(kNodes),
                            {{Worker(2), Worker(1), Worker(3), Worker(0)}, 65535}};
    int64_t step = 0;
    for (const CollectiveInfo& info : Collectives()) {
      SCOPED_TRACE(absl::StrCat(transport, " ", info.name));
      const auto schedule = Create(info.name);
      std::vector<Floats> given[2], data[2];
      for (const int g : {0, 1}) data[g] = given[g] = RandomGradients(kNodes, 1003, 7 + g);
      ++step;
      OnAllRanks(kNodes, step, [&](int32_t node) {
        std::vector<std::unique_ptr<CollectiveExecutor>> executors;
        for (const Group& group : groups) {
          executors.push_back(
              std::make_unique<CollectiveExecutor>(fabrics.worker(node), group, kLimit));
        }
        // Half of them begin with the one channel, half with the other; both are in flight at once.
        for (const int g : {node % 2, 1 - node % 2}) {
          const auto ticket =
              executors[g]->Start(*schedule, step, 0, ElementType::kFloat32, Bytes(data[g][node]));
          EXPECT_TRUE(ticket.ok()) << ticket.status();
        }
        std::thread other([&] { EXPECT_TRUE(FinishAll(*executors[1]).ok()); });
        EXPECT_TRUE(FinishAll(*executors[0]).ok());
        other.join();
      });
      for (const int g : {0, 1}) {
        const Floats expected = SumInRankOrder(Of(given[g], groups[g]));
        const bool in_rank_order =
            schedule->name() == "direct" || schedule->name() == "reduce_broadcast";
        for (int32_t node = 0; node < kNodes; ++node) {
          EXPECT_EQ(data[g][node], in_rank_order ? expected : data[g][0])
              << "group " << g << " worker/" << node;
        }
        // Sums in two orders differ by roundings alone; those of the two groups by far more.
        for (size_t i = 0; i < expected.size(); ++i) {
          double magnitude = 0;
          for (const Floats& gradient : given[g]) magnitude += std::fabs(gradient[i]);
          ASSERT_NEAR(data[g][0][i], expected[i], 2 * (kNodes - 1) * 0x1p-24 * magnitude);
        }
      }
    }
  }
}

TEST(Group, AnErrorNamesTheChannelAndThePeersNode) {
  const auto fabric = InprocFabric(3);
  CollectiveExecutor executor(fabric->transport(Worker(2)), {{Worker(2), Worker(1)}, 9},
                              absl::Milliseconds(5));
  Floats data(10, 1.0f);
  const absl::Status status =
      executor.AllReduce(*Create("ring"), 3, 4, ElementType::kFloat32, Bytes(data));
  EXPECT_TRUE(
      absl::StrContains(status.message(), "ring step=3 bucket=4 round=0 channel=9 peer=worker/1: "))
      << status;
}

}  // namespace
}  // namespace ringmaster
