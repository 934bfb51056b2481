// Sums that are made at once are what the messages of a collective would bring.
#include "experiments/study/simulate/planned_sum.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/base/element_type.h"
#include "common/base/random.h"
#include "common/collective/choice.h"
#include "common/collective/gossip.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/vecmath/element_bytes.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kCount = 1001;

using Values = std::vector<std::vector<float>>;  // by rank

std::vector<Plan> PlansOf(const Schedule& schedule, int32_t ranks) {
  std::vector<Plan> plans;
  // pieces of 64 elements
  for (int32_t rank = 0; rank < ranks; ++rank)
    plans.push_back(MakePlan(schedule, {rank, ranks, kCount, sizeof(float), 256}));
  return plans;
}

std::vector<float> SumAt(const std::vector<Plan>& plans, int32_t rank, const Values& values) {
  std::vector<absl::Span<const std::byte>> bytes;
  for (const std::vector<float>& own : values) bytes.push_back(BytesOf(absl::MakeConstSpan(own)));
  std::vector<float> sum(kCount, -1);
  PlannedSum(plans, rank).Run(ElementType::kFloat32, bytes, BytesOf(absl::MakeSpan(sum)));
  return sum;
}

// Whole numbers, whose sums are exact: rank r begins with r + i at place i.
Values WholeNumbers(int32_t ranks) {
  Values values(ranks);
  for (int32_t rank = 0; rank < ranks; ++rank) {
    for (int64_t i = 0; i < kCount; ++i) values[rank].push_back(static_cast<float>(rank + i));
  }
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

TEST(PlannedSum, OfEveryCollectiveIsThatOfAllRanksAtEachRank) {
  for (const CollectiveInfo& info : CollectiveChoices()) {
    std::vector<int32_t> all;
    for (int32_t ranks = 1; ranks <= 9; ++ranks) {
      SCOPED_TRACE(testing::Message() << info.name << " N=" << ranks);
      all.push_back(ranks - 1);
      const auto schedule =
          CreateSchedule(info.name, {"tcp", ranks, kCount * int64_t{sizeof(float)}});
      if (ranks > 1 && !schedule.ok()) continue;  // not for so many
      ASSERT_TRUE(schedule.ok()) << schedule.status();
      const std::vector<Plan> plans = PlansOf(**schedule, ranks);
      for (int32_t rank = 0; rank < ranks; ++rank)
        EXPECT_EQ(SumAt(plans, rank, WholeNumbers(ranks)), SumOf(all));
    }
  }
}

TEST(PlannedSum, OfGossipIsThatOfNeighbours) {
  for (const GossipGraph graph : {GossipGraph::kRing, GossipGraph::kOnePeerExponential}) {
    for (int32_t ranks = 2; ranks <= 6; ++ranks) {
      for (int32_t round = 0; round < GossipRounds(graph, ranks); ++round) {
        const std::vector<Plan> plans = PlansOf(*CreateGossipSchedule(graph, round), ranks);
        for (int32_t rank = 0; rank < ranks; ++rank) {
          EXPECT_EQ(SumAt(plans, rank, WholeNumbers(ranks)),
                    SumOf(GossipSources(graph, ranks, round, rank)));
        }
      }
    }
  }
}

// A ring adds to a chunk one rank after the other, beginning behind its owner.
TEST(PlannedSum, AddsInTheOrderOfTheRing) {
  constexpr int32_t kRanks = 3;
  const auto schedule = CreateSchedule("ring", {"tcp", kRanks, kCount * int64_t{sizeof(float)}});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  Values values(kRanks);
  Random random(1);
  for (std::vector<float>& own : values) {
    for (int64_t i = 0; i < kCount; ++i) own.push_back(random.Normal());
  }
  const std::vector<float> sum = SumAt(PlansOf(**schedule, kRanks), 0, values);
  int32_t orders_differ = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    bool is_some_order = false;
    float first = 0;
    for (int32_t begin = 0; begin < kRanks; ++begin) {
      const float in_order =
          (values[begin][i] + values[(begin + 1) % kRanks][i]) + values[(begin + 2) % kRanks][i];
      if (begin == 0) first = in_order;
      is_some_order = is_some_order || in_order == sum[i];
    }
    EXPECT_TRUE(is_some_order) << i;
    if (first != sum[i]) ++orders_differ;
  }
  EXPECT_GT(orders_differ, 0);
}

}  // namespace
}  // namespace ringmaster
