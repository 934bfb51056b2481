#include "common/collective/schedule.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/collective/hierarchical.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Ints = std::vector<int64_t>;

std::unique_ptr<Schedule> Create(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Schedule>> schedule = CreateSchedule(name);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *std::move(schedule);
}

// Runs all ranks round by round on integers. Sends of a round read what was there before the round,
// which is what running its steps at once allows; a message without a receive, or the reverse,
// fails the test.
std::vector<Ints> Simulate(const Schedule& schedule, int32_t ranks, std::vector<Ints> data) {
  std::vector<std::vector<Step>> steps;
  int32_t rounds = 0;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    steps.push_back(schedule.StepsOf(rank, ranks));
    for (const Step& step : steps.back()) rounds = std::max(rounds, step.round + 1);
  }
  const int64_t count = static_cast<int64_t>(data[0].size());
  for (int32_t round = 0; round < rounds; ++round) {
    std::map<std::pair<int32_t, int32_t>, std::pair<Range, Ints>> flying;  // (from, to)
    for (int32_t rank = 0; rank < ranks; ++rank) {
      for (const Step& step : steps[rank]) {
        if (step.round != round || step.op != Step::Op::kSend) continue;
        const Range range = ElementsOf(step, schedule.chunks(ranks), count);
        Ints payload(data[rank].begin() + range.begin, data[rank].begin() + range.end());
        EXPECT_TRUE(
            flying.emplace(std::make_pair(rank, step.peer), std::make_pair(range, payload)).second)
            << "two messages from " << rank << " to " << step.peer << " in round " << round;
      }
    }
    for (int32_t rank = 0; rank < ranks; ++rank) {
      for (const Step& step : steps[rank]) {
        if (step.round != round || step.op == Step::Op::kSend) continue;
        const auto message = flying.find({step.peer, rank});
        if (message == flying.end()) {
          ADD_FAILURE() << "rank " << rank << " awaits nothing from " << step.peer << " in round "
                        << round;
          continue;
        }
        const Range range = ElementsOf(step, schedule.chunks(ranks), count);
        EXPECT_TRUE(message->second.first == range) << "rank " << rank << " round " << round;
        for (int64_t i = 0; i < range.count; ++i) {
          int64_t& to = data[rank][range.begin + i];
          to = message->second.second[i] + (step.op == Step::Op::kReceiveAdd ? to : 0);
        }
        flying.erase(message);
      }
    }
    EXPECT_TRUE(flying.empty()) << "a message of round " << round << " is received by nobody";
  }
  return data;
}

// What all who send to one rank may send ahead is bounded by it.
TEST(Schedule, NoRankReceivesFromMoreThanItSays) {
  for (const CollectiveInfo& info : Collectives()) {
    SCOPED_TRACE(info.name);
    const auto schedule = Create(info.name);
    for (int32_t ranks = 1; ranks <= 33; ++ranks) {
      size_t most = 0;
      for (int32_t rank = 0; rank < ranks; ++rank) {
        std::set<int32_t> senders;
        for (const Step& step : schedule->StepsOf(rank, ranks)) {
          if (step.op != Step::Op::kSend) senders.insert(step.peer);
        }
        most = std::max(most, senders.size());
      }
      EXPECT_LE(static_cast<int32_t>(most), schedule->senders_max(ranks)) << ranks;
    }
  }
  EXPECT_EQ(Create("ring")->senders_max(1024), 1);
  EXPECT_LT(Create("double_binary_tree")->senders_max(1024), 10);
}

TEST(Schedule, EveryRankEndsWithTheSumOfAllRanks) {
  for (const CollectiveInfo& info : Collectives()) {
    const auto schedule = Create(info.name);
    for (int32_t ranks = 1; ranks <= 17; ++ranks) {
      for (const int64_t count :
           {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{7}, int64_t{8}, int64_t{41}}) {
        SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks, " count=", count));
        std::vector<Ints> data(ranks, Ints(count));
        Ints sum(count, 0);
        for (int32_t rank = 0; rank < ranks; ++rank) {
          for (int64_t i = 0; i < count; ++i) {
            // Powers of 8 show in the sum who was added twice.
            data[rank][i] = (int64_t{1} << (3 * rank)) * (1 + i % 3);
            sum[i] += data[rank][i];
          }
        }
        for (const Ints& result : Simulate(*schedule, ranks, data)) EXPECT_EQ(result, sum);
      }
    }
  }
}

TEST(Schedule,
     StepsOfARoundTouchEachChunkOnceButForAddsOfTheSameChunksByRisingPeerAndToWhatIsSent) {
  for (const CollectiveInfo& info : Collectives()) {
    const auto schedule = Create(info.name);
    for (int32_t ranks = 1; ranks <= 17; ++ranks) {
      for (int32_t rank = 0; rank < ranks; ++rank) {
        SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks, " rank=", rank));
        const std::vector<Step> steps = schedule->StepsOf(rank, ranks);
        EXPECT_EQ(steps.empty(), ranks == 1);
        for (size_t a = 0; a < steps.size(); ++a) {
          EXPECT_NE(steps[a].peer, rank);
          EXPECT_GE(steps[a].round, steps[a == 0 ? 0 : a - 1].round);
          for (size_t b = a + 1; b < steps.size() && steps[b].round == steps[a].round; ++b) {
            const bool apart =
                steps[a].chunk_begin + steps[a].chunk_count <= steps[b].chunk_begin ||
                steps[b].chunk_begin + steps[b].chunk_count <= steps[a].chunk_begin;
            const bool both_read = steps[a].op == Step::Op::kSend && steps[b].op == Step::Op::kSend;
            const bool both_add_same =
                steps[a].op == Step::Op::kReceiveAdd && steps[b].op == Step::Op::kReceiveAdd &&
                steps[a].chunk_begin == steps[b].chunk_begin &&
                steps[a].chunk_count == steps[b].chunk_count && steps[a].peer < steps[b].peer;
            const bool adds_to_sent = steps[a].op == Step::Op::kSend &&
                                      steps[b].op == Step::Op::kReceiveAdd &&
                                      steps[a].chunk_begin == steps[b].chunk_begin &&
                                      steps[a].chunk_count == steps[b].chunk_count;
            EXPECT_TRUE(apart || both_read || both_add_same || adds_to_sent)
                << "steps " << a << " and " << b;
          }
        }
      }
    }
  }
}

TEST(SentBytes, EqualTheFormulae) {
  for (int32_t ranks = 1; ranks <= 17; ++ranks) {
    for (const int64_t count :
         {int64_t{0}, int64_t{1}, int64_t{5}, int64_t{16}, int64_t{840}, int64_t{431080}}) {
      int64_t ring_total = 0, direct_total = 0;
      for (int32_t rank = 0; rank < ranks; ++rank) {
        SCOPED_TRACE(absl::StrCat("ranks=", ranks, " rank=", rank, " count=", count));
        const int64_t bytes = 4 * count;
        const auto chunk = [&](int32_t index) {
          return 4 * Part(count, ranks, index % ranks).count;
        };
        const int64_t ring = SentBytes(*Create("ring"), rank, ranks, count, 4);
        const int64_t direct = SentBytes(*Create("direct"), rank, ranks, count, 4);
        const int64_t central = SentBytes(*Create("reduce_broadcast"), rank, ranks, count, 4);
        ring_total += ring;
        direct_total += direct;
        if (ranks == 1) {
          EXPECT_EQ(ring + direct + central, 0);
          continue;
        }
        EXPECT_EQ(ring, 2 * bytes - chunk(rank + 1) - chunk(rank + 2));
        EXPECT_EQ(direct, bytes - chunk(rank) + (ranks - 1) * chunk(rank));
        EXPECT_EQ(central, rank == 0 ? (ranks - 1) * bytes : bytes);
        EXPECT_EQ(SentBytes(*Create("ring"), rank, ranks, count, 2), ring / 2);
      }
      EXPECT_EQ(ring_total, 2 * (ranks - 1) * 4 * count);
      EXPECT_EQ(direct_total, ring_total);
    }
  }
}

TEST(CreateSchedule, NamesTheKnownOnesWhenItIsAskedForAnother) {
  const absl::Status status = CreateSchedule("tree").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(
      absl::StrContains(status.message(), "\"tree\" is unknown; did you mean \"binomial_tree\"?"))
      << status;
  for (const CollectiveInfo& info : Collectives()) {
    EXPECT_TRUE(absl::StrContains(status.message(), info.name)) << status;
    EXPECT_EQ(Create(info.name)->name(), info.name);
  }
}

bool SameSteps(const std::vector<Step>& a, const std::vector<Step>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Step& x, const Step& y) {
    return x.op == y.op && x.peer == y.peer && x.chunk_begin == y.chunk_begin &&
           x.chunk_count == y.chunk_count && x.round == y.round;
  });
}

TEST(Hierarchical, OfOneGroupAndOfGroupsOfOneIsTheRing) {
  const auto ring = Create("ring");
  for (int32_t ranks = 1; ranks <= 9; ++ranks) {
    const auto one_group = CreateHierarchical(ranks), groups_of_one = CreateHierarchical(1);
    for (int32_t rank = 0; rank < ranks; ++rank) {
      EXPECT_TRUE(SameSteps(one_group->StepsOf(rank, ranks), ring->StepsOf(rank, ranks)));
      EXPECT_TRUE(SameSteps(groups_of_one->StepsOf(rank, ranks), ring->StepsOf(rank, ranks)));
    }
    EXPECT_EQ(ring->StepsOf(0, ranks).size(), 4u * (ranks - 1));
  }
}

TEST(Hierarchical, SumsForEveryGroupSizeAndSendsTheFormulaToOtherGroups) {
  for (int32_t ranks = 2; ranks <= 16; ++ranks) {
    for (int32_t size = 1; size <= ranks; ++size) {
      if (ranks % size != 0) continue;
      SCOPED_TRACE(absl::StrCat("ranks=", ranks, " size=", size));
      const auto schedule = CreateHierarchical(size);
      const int64_t count = int64_t{ranks} * 3;
      std::vector<Ints> data(ranks, Ints(count));
      Ints sum(count, 0);
      std::vector<int64_t> across(ranks / size);
      for (int32_t rank = 0; rank < ranks; ++rank) {
        for (int64_t i = 0; i < count; ++i) {
          data[rank][i] = (int64_t{1} << (3 * rank)) * (1 + i % 3);
          sum[i] += data[rank][i];
        }
        for (const Step& step : schedule->StepsOf(rank, ranks)) {
          if (step.op == Step::Op::kSend && step.peer / size != rank / size)
            across[rank / size] += ElementsOf(step, ranks, count).count;
        }
      }
      for (const Ints& result : Simulate(*schedule, ranks, data)) EXPECT_EQ(result, sum);
      // Groups of one rank are the ring in which all of it goes to other groups.
      for (const int64_t elements : across) EXPECT_EQ(elements * ranks, 2 * count * (ranks - size));
    }
  }
}

TEST(Hierarchical, GroupsThatDoNotDivideAreRefusedWithThoseThatDo) {
  EXPECT_EQ(CheckGroupSize(4, 6).message(),
            "groups of 4 do not divide 6 ranks; use one of 1, 2, 3, 6");
  EXPECT_FALSE(CheckGroupSize(0, 6).ok());
  EXPECT_TRUE(CheckGroupSize(3, 6).ok());
  for (const auto& [ranks, size] : std::map<int32_t, int32_t>{
           {1, 1}, {2, 2}, {3, 3}, {4, 2}, {6, 3}, {8, 4}, {9, 3}, {12, 4}, {17, 17}})
    EXPECT_EQ(DefaultGroupSize(ranks), size) << ranks;
}

// Sanders, Speck and Traeff's condition.
TEST(DoubleBinaryTree, NoRankIsAnInnerNodeOfBothTreesAndEachTreeHasEveryRank) {
  const auto schedule = Create("double_binary_tree");
  for (int32_t ranks = 2; ranks <= 70; ++ranks) {
    SCOPED_TRACE(absl::StrCat("ranks=", ranks));
    int32_t parents[2] = {0, 0};
    for (int32_t rank = 0; rank < ranks; ++rank) {
      int32_t children[2] = {0, 0};
      for (const Step& step : schedule->StepsOf(rank, ranks)) {
        if (step.op == Step::Op::kReceiveAdd) ++children[step.chunk_begin];
        if (step.op == Step::Op::kReceive) ++parents[step.chunk_begin];
      }
      EXPECT_TRUE(children[0] == 0 || children[1] == 0) << "rank " << rank;
      EXPECT_LE(children[0] + children[1], 2) << "rank " << rank;
    }
    EXPECT_EQ(parents[0], ranks - 1);
    EXPECT_EQ(parents[1], ranks - 1);
  }
}

}  // namespace
}  // namespace ringmaster
