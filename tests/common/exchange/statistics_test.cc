// Running statistics are found in the arena and in every server's shard of it.
#include <string>
#include <vector>

#include "common/exchange/parts.h"
#include "common/params/param_layout.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

Param Named(const std::string& name, int64_t count, bool statistic) {
  Param param;
  param.name = name;
  param.shape = {count};
  param.statistic = statistic;
  return param;
}

// 40 elements in buckets of 11; statistics are 5..11, of two neighbours, and 30..33.
ParamLayout Layout() {
  return ParamLayout({Named("fc", 5, false), Named("mean", 3, true), Named("variance", 4, true),
                      Named("conv", 18, false), Named("mean2", 4, true), Named("conv2", 6, false)},
                     11);
}

TEST(ParamLayout, NamesTheElementsThatAreStatisticsWithNeighboursJoined) {
  const ParamLayout layout = Layout();
  EXPECT_EQ(std::vector<Range>(layout.statistics().begin(), layout.statistics().end()),
            (std::vector<Range>{{5, 7}, {30, 4}}));
  EXPECT_TRUE(ParamLayout({Named("fc", 5, false)}, 3).statistics().empty());
}

TEST(ParamLayout, ItsFingerprintTellsAStatisticFromAWeight) {
  EXPECT_NE(ParamLayout({Named("a", 5, false)}, 3).fingerprint(),
            ParamLayout({Named("a", 5, true)}, 3).fingerprint());
}

// Marks the statistics of the arena, gathers every shard as its server does, and compares with what
// the shard is told.
TEST(ShardStatistics, MarkInEveryShardWhatTheArenaMarks) {
  const ParamLayout layout = Layout();
  std::vector<float> arena(layout.count(), 0.0f);
  for (const Range& range : layout.statistics()) {
    for (int64_t i = range.begin; i < range.end(); ++i) arena[i] = 1.0f;
  }
  for (const int32_t servers : {1, 2, 3, 12}) {
    for (int32_t server = 0; server < servers; ++server) {
      const std::vector<Range> parts = ShardParts(layout, servers, server);
      const std::vector<float> expected = GatherShard(parts, arena);
      std::vector<float> marked(expected.size(), 0.0f);
      int64_t end = 0;
      for (const Range& range : ShardStatistics(parts, layout.statistics())) {
        EXPECT_GE(range.begin, end) << "ascending, not overlapping";
        EXPECT_GT(range.count, 0);
        end = range.end();
        ASSERT_LE(end, static_cast<int64_t>(marked.size()));
        for (int64_t i = range.begin; i < end; ++i) marked[i] = 1.0f;
      }
      EXPECT_EQ(marked, expected) << "server " << server << " of " << servers;
    }
  }
}

}  // namespace
}  // namespace ringmaster
