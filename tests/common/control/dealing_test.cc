// Which batch of the stream is whose.
#include "common/control/dealing.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Dealing, SampleJOfABatchHasThePositionOfTheDataOrder) {
  for (const int32_t ranks : {1, 2, 3, 5}) {
    for (const int32_t accumulate : {1, 2, 4}) {
      const int64_t samples = 6;  // b
      const int64_t global_batch = ranks * accumulate * samples;
      const Dealing dealing{ranks, accumulate};
      for (const int64_t step : {0, 1, 7, 1 << 30}) {
        for (int32_t rank = 0; rank < ranks; ++rank) {
          for (int32_t a = 0; a < accumulate; ++a) {
            EXPECT_EQ(dealing.BatchOf(dealing.LotOf(step, rank), a) * samples,
                      step * global_batch + rank * accumulate * samples + a * samples);
          }
        }
      }
    }
  }
}

TEST(Dealing, EveryBatchIsDealtOnceAndAStepTakesItsOwnInOrder) {
  const Dealing dealing{3, 2};
  int64_t next = 0;
  for (int64_t step = 0; step < 10; ++step) {
    for (int32_t rank = 0; rank < 3; ++rank) {
      const int64_t lot = dealing.LotOf(step, rank);
      for (int32_t a = 0; a < 2; ++a) EXPECT_EQ(dealing.BatchOf(lot, a), next++);
    }
  }
}

TEST(DealingDeathTest, ALotOrBatchThatTheRunHasNotIsABug) {
  const Dealing dealing{3, 2};
  EXPECT_DEATH(dealing.LotOf(0, 3), "rank");
  EXPECT_DEATH(dealing.LotOf(-1, 0), "step");
  EXPECT_DEATH(dealing.LotOf(0, -1), "rank");
  EXPECT_DEATH(dealing.BatchOf(0, 2), "index");
  EXPECT_DEATH(dealing.BatchOf(-1, 0), "lot");
}

// Workers of their own speeds, which ask one claim ahead, in simulated time.
class Claimants {
 public:
  // step_us: of each worker.
  Claimants(const ClaimRules& rules, std::vector<int64_t> step_us, int32_t wanted)
      : dealer_(rules), step_us_(std::move(step_us)), wanted_(wanted), workers_(step_us_.size()) {
    for (int32_t rank = 0; rank < static_cast<int32_t>(workers_.size()); ++rank) Ask(rank);
  }

  // Until nobody has work.
  void Run() {
    for (;;) {
      int32_t next = -1;
      for (int32_t rank = 0; rank < static_cast<int32_t>(workers_.size()); ++rank) {
        if (workers_[rank].ahead.count == 0) continue;
        if (next < 0 || workers_[rank].free_at_us < workers_[next].free_at_us) next = rank;
      }
      if (next < 0) return;
      Worker& worker = workers_[next];
      const LotClaim claim = worker.ahead;
      Ask(next);
      for (int64_t lot = claim.first; lot < claim.first + claim.count; ++lot)
        worker.lots.push_back(lot);
      worker.free_at_us += claim.count * step_us_[next];
    }
  }

  const std::vector<int64_t>& lots(int32_t rank) const { return workers_[rank].lots; }
  int64_t end_us(int32_t rank) const { return workers_[rank].free_at_us; }

 private:
  struct Worker {
    LotClaim ahead;
    int64_t free_at_us = 0;
    std::vector<int64_t> lots;
  };

  void Ask(int32_t rank) {
    const absl::StatusOr<LotClaim> dealt = dealer_.Ask(rank, wanted_);
    ASSERT_TRUE(dealt.ok()) << dealt.status();
    ASSERT_EQ(dealt->rank, rank);
    workers_[rank].ahead = *dealt;
  }

  ClaimDealer dealer_;
  const std::vector<int64_t> step_us_;
  const int32_t wanted_;
  std::vector<Worker> workers_;
};

TEST(ClaimDealer, DealsEachLotOnceInAscendingOrderOfEachRankWhateverTheirSpeeds) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const auto ranks = static_cast<int32_t>(1 + random.Below(8));
    const int64_t first = static_cast<int64_t>(random.Below(100));
    const int64_t count = ranks * static_cast<int64_t>(1 + random.Below(40));
    std::vector<int64_t> speeds;
    for (int32_t rank = 0; rank < ranks; ++rank)
      speeds.push_back(static_cast<int64_t>(1 + random.Below(1000)));
    const auto wanted = static_cast<int32_t>(1 + random.Below(16));
    Claimants claimants({first, first + count, ranks}, speeds, wanted);
    claimants.Run();
    std::set<int64_t> all;
    for (int32_t rank = 0; rank < ranks; ++rank) {
      const std::vector<int64_t>& lots = claimants.lots(rank);
      ASSERT_FALSE(lots.empty());
      EXPECT_EQ(lots[0], first + rank);
      EXPECT_TRUE(std::is_sorted(lots.begin(), lots.end()));
      for (const int64_t lot : lots) EXPECT_TRUE(all.insert(lot).second) << lot;
    }
    EXPECT_EQ(static_cast<int64_t>(all.size()), count);
    EXPECT_EQ(*all.begin(), first);
    EXPECT_EQ(*all.rbegin(), first + count - 1);
  }
}

// The truth of one slow rank of four: (3 + 1/4) / 4 of the unslowed rate, and a tail of two of its
// steps at most, since it holds one lot and has claimed another.
TEST(ClaimDealer, ASlowRankTakesItsPartAndHoldsUpNobody) {
  Claimants claimants({0, 4 * 60, 4}, {20, 20, 20, 80}, 1);
  claimants.Run();
  EXPECT_NEAR(static_cast<double>(claimants.lots(3).size()), 240 / 13.0, 2);
  for (int32_t rank = 0; rank < 3; ++rank)
    EXPECT_NEAR(static_cast<double>(claimants.lots(rank).size()), 240 * 4 / 13.0, 2);
  EXPECT_LE(claimants.end_us(3) - claimants.end_us(0), 2 * 80);
}

// At the end a claim is small, whatever is wanted: nobody holds many lots while others have none.
TEST(ClaimDealer, ManyLotsAreNotClaimedAtOnceWhereFewAreLeft) {
  ClaimDealer dealer({0, 400, 4});
  EXPECT_EQ(dealer.Ask(1, 16)->count, 1);  // its first
  while (dealer.left() > 0) {
    const int64_t left = dealer.left();
    const int32_t count = dealer.Ask(1, 16)->count;
    EXPECT_LE(count, std::max<int64_t>(1, left / 16));
    EXPECT_GE(count, 1);
    EXPECT_EQ(dealer.left(), left - count);
  }
  EXPECT_EQ(dealer.Ask(1, 16)->count, 0);
}

// Ranks ask, settle and are lost in any order. Every lot is settled once by whoever is left, or was
// settled by who is lost; and all that are left hear in the end that none is.
TEST(ClaimDealer, LotsThatALostRankHasNotSettledAreDealtAgainAndNoOthers) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const auto ranks = static_cast<int32_t>(2 + random.Below(4));
    const int64_t lots = ranks * static_cast<int64_t>(1 + random.Below(8));
    ClaimDealer dealer({0, lots, ranks, /*deals_again=*/true});
    std::vector<std::vector<int64_t>> dealt(ranks);
    std::vector<size_t> settled(ranks);
    std::vector<bool> asks(ranks), lost(ranks), is_done(ranks);
    int32_t left = ranks;
    std::multiset<int64_t> made;
    const auto take = [&](const LotClaim& claim) {
      asks[claim.rank] = false;
      if (claim.count == 0) is_done[claim.rank] = true;
      for (int32_t i = 0; i < claim.count; ++i) dealt[claim.rank].push_back(claim.first + i);
    };
    const auto answer = [&] {
      while (const auto claim = dealer.TakeAnswer()) take(*claim);
    };
    for (int event = 0; event < 20'000; ++event) {
      const auto rank = static_cast<int32_t>(random.Below(ranks));
      if (lost[rank]) continue;
      if (random.Below(300) == 0 && left > 1) {
        lost[rank] = true;
        --left;
        const auto open = static_cast<int64_t>(dealt[rank].size() - settled[rank]);
        EXPECT_EQ(dealer.Lose(rank), dealt[rank].empty() ? 1 : open);
      } else if (settled[rank] < dealt[rank].size() && random.Below(2) == 0) {
        made.insert(dealt[rank][settled[rank]++]);
        ASSERT_TRUE(dealer.Settle(rank, static_cast<int64_t>(settled[rank])).ok());
      } else if (!asks[rank] && !is_done[rank]) {
        asks[rank] = true;
        const auto claim = dealer.Ask(rank, static_cast<int32_t>(1 + random.Below(3)));
        ASSERT_TRUE(claim.ok()) << claim.status();
        if (!claim->waits) take(*claim);
      }
      answer();
    }
    for (int32_t rank = 0; rank < ranks; ++rank) EXPECT_TRUE(lost[rank] || is_done[rank]) << rank;
    EXPECT_EQ(static_cast<int64_t>(made.size()), lots);
    EXPECT_EQ(std::set<int64_t>(made.begin(), made.end()).size(), made.size());
  }
}

TEST(ClaimDealer, RefusesRanksThatThereAreNotAndQuestionsForNothing) {
  ClaimDealer dealer({0, 8, 2});
  for (const auto& [rank, wanted] :
       std::vector<std::pair<int32_t, int32_t>>{{2, 1}, {-1, 1}, {0, 0}})
    EXPECT_EQ(dealer.Ask(rank, wanted).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ClaimDealer, WhatALostRankHasIsNobodysWhereLotsAreNotDealtAgain) {
  ClaimDealer dealer({0, 8, 2});
  ASSERT_EQ(dealer.Ask(0, 1)->first, 0);
  ASSERT_EQ(dealer.Ask(0, 1)->first, 2);
  EXPECT_EQ(dealer.Lose(0), 0);
  std::vector<int64_t> lots;
  for (LotClaim claim = *dealer.Ask(1, 1); claim.count > 0; claim = *dealer.Ask(1, 1)) {
    EXPECT_FALSE(claim.waits);
    lots.push_back(claim.first);
  }
  EXPECT_EQ(lots, (std::vector<int64_t>{1, 3, 4, 5, 6, 7}));
  EXPECT_FALSE(dealer.TakeAnswer().has_value());
  EXPECT_FALSE(dealer.Ask(0, 1).ok());
}

}  // namespace
}  // namespace ringmaster
