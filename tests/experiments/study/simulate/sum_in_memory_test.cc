// Collectives that are done at once end with what messages would bring.
#include "experiments/study/simulate/sum_in_memory.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "common/collective/choice.h"
#include "common/collective/gossip.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kCount = 1001;

// Of whole numbers, whose sums are exact: rank r begins with r + i at place i.
std::vector<std::vector<float>> SumsBy(const Schedule& schedule, int32_t ranks) {
  std::vector<Plan> plans;
  std::vector<std::vector<float>> values;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    // pieces of 64 elements
    plans.push_back(MakePlan(schedule, {rank, ranks, kCount, sizeof(float), 256}));
    std::vector<float>& own = values.emplace_back();
    for (int64_t i = 0; i < kCount; ++i) own.push_back(static_cast<float>(rank + i));
  }
  std::vector<absl::Span<float>> spans;
  for (std::vector<float>& own : values) spans.push_back(absl::MakeSpan(own));
  SumInMemory(plans, spans);
  return values;
}

// What `sources` begin with, summed.
std::vector<float> SumOf(const std::vector<int32_t>& sources) {
  std::vector<float> sums(kCount);
  for (const int32_t source : sources) {
    for (int64_t i = 0; i < kCount; ++i) sums[i] += static_cast<float>(source + i);
  }
  return sums;
}

TEST(SumInMemory, OfEveryCollectiveIsThatOfAllRanksAtEachRank) {
  for (const CollectiveInfo& info : CollectiveChoices()) {
    std::vector<int32_t> all;
    for (int32_t ranks = 1; ranks <= 7; ++ranks) {
      SCOPED_TRACE(testing::Message() << info.name << " N=" << ranks);
      all.push_back(ranks - 1);
      const auto schedule =
          CreateSchedule(info.name, {"tcp", ranks, kCount * int64_t{sizeof(float)}});
      if (ranks > 1 && !schedule.ok()) continue;  // not for so many
      ASSERT_TRUE(schedule.ok()) << schedule.status();
      for (const std::vector<float>& own : SumsBy(**schedule, ranks)) EXPECT_EQ(own, SumOf(all));
    }
  }
}

TEST(SumInMemory, OfGossipIsThatOfNeighbours) {
  for (const GossipGraph graph : {GossipGraph::kRing, GossipGraph::kOnePeerExponential}) {
    for (int32_t ranks = 2; ranks <= 6; ++ranks) {
      for (int32_t round = 0; round < GossipRounds(graph, ranks); ++round) {
        const auto sums = SumsBy(*CreateGossipSchedule(graph, round), ranks);
        for (int32_t rank = 0; rank < ranks; ++rank)
          EXPECT_EQ(sums[rank], SumOf(GossipSources(graph, ranks, round, rank)));
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
