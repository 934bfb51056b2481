// Whole clusters of the cores of workers and servers, each under one seed.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/worker/strategy/ps_cores_cluster.h"

namespace ringmaster {
namespace {

std::vector<Arm> Arms() {
  std::vector<Arm> arms;
  for (int32_t servers = 1; servers <= 3; ++servers) {
    arms.push_back({ParameterServerSpec::BSP, 0, 3, servers});
    for (const int64_t bound : {0, 1, 3})
      arms.push_back({ParameterServerSpec::SSP, bound, 3, servers});
    arms.push_back({ParameterServerSpec::ASYNCHRONOUS, 0, 3, servers});
    arms.push_back({ParameterServerSpec::ASYNCHRONOUS, 0, 3, servers, /*claimed=*/true});
  }
  for (const int32_t servers : {1, 2}) {
    for (const auto& [workers, backups] : {std::pair{4, 2}, {2, 1}})
      arms.push_back({ParameterServerSpec::BSP, 0, workers, servers, false, backups});
    for (const int32_t local_steps : {1, 4}) {
      arms.push_back(
          {ParameterServerSpec::ASYNCHRONOUS, 0, 3, servers, servers > 1, 0, local_steps});
    }
  }
  arms.push_back({ParameterServerSpec::BSP, 0, 1, 1});
  return arms;
}

std::string Name(const Arm& arm, uint64_t seed) {
  return absl::StrCat("consistency=", arm.consistency, " bound=", arm.bound, " N=", arm.workers,
                      " K=", arm.servers, " claimed=", arm.claimed, " b=", arm.backups,
                      " k=", arm.local_steps, " seed=", seed);
}

TEST(Cores, ReadWhatTheirConsistencyGrantsDrainEverythingRecallMarksExactlyAndTakeLeave) {
  for (const Arm& arm : Arms()) {
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      Cluster cluster(arm, seed, /*has_data=*/true);
      ASSERT_EQ(cluster.Run(), "") << Name(arm, seed);
    }
  }
}

TEST(Cores, BackupWorkersDropWhatIsLateAndSkipWhatTheOthersHaveEnded) {
  for (const Arm& arm : Arms()) {
    int64_t dropped = 0, skipped = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      Cluster cluster(arm, seed, /*has_data=*/true);
      ASSERT_EQ(cluster.Run(), "") << Name(arm, seed);
      dropped += cluster.dropped();
      skipped += cluster.skipped();
    }
    EXPECT_EQ(dropped > 0, arm.backups > 0) << Name(arm, 0);
    EXPECT_EQ(skipped > 0, arm.backups > 0) << Name(arm, 0);
  }
}

// Each takes the center of every exchange once, and that of every drain.
TEST(Cores, OfElasticAveragingTakeEachCenterInItsPlaceRecallMarksAndTakeLeave) {
  for (const int32_t servers : {1, 2}) {
    for (const int32_t period : {1, 4}) {
      for (const bool claimed : {false, true}) {
        Arm arm = {ParameterServerSpec::ASYNCHRONOUS, 0, 3, servers, claimed, 0, period};
        arm.attracts = true;
        for (uint64_t seed = 1; seed <= kSeeds / 4; ++seed) {
          Cluster cluster(arm, seed, /*has_data=*/false);
          ASSERT_EQ(cluster.Run(), "") << Name(arm, seed);
          for (int32_t rank = 0; rank < arm.workers; ++rank)
            EXPECT_EQ(cluster.centers(rank), cluster.exchanges(rank)) << Name(arm, seed);
        }
      }
    }
  }
}

// A simulator has sizes and no weights: the cores must decide the same.
TEST(Cores, DecideTheSameWithoutData) {
  for (const Arm& arm : Arms()) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      Cluster with(arm, seed, /*has_data=*/true), without(arm, seed, /*has_data=*/false);
      ASSERT_EQ(with.Run(), "") << Name(arm, seed);
      ASSERT_EQ(without.Run(), "") << Name(arm, seed);
      EXPECT_EQ(with.moves(), without.moves()) << Name(arm, seed);
    }
  }
}

}  // namespace
}  // namespace ringmaster
