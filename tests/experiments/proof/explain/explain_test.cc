#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "common/collective/schedule.h"
#include "experiments/proof/explain/explain_collective.h"
#include "experiments/proof/explain/explain_gossip.h"
#include "experiments/proof/explain/explain_server.h"
#include "experiments/proof/explain/ranks_text.h"
#include "experiments/proof/explain/story_page.h"
#include "experiments/proof/explain/story_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<Story> StoryOf(absl::string_view collective, int32_t workers) {
  auto schedule = CreateSchedule(collective);
  EXPECT_TRUE(schedule.ok());
  return ExplainCollective(**schedule, workers);
}

TEST(RanksText, DrawsRunsOfThreeTogether) {
  EXPECT_EQ(RanksText({0, 2, 3, 4, 6, 7}), "0, 2-4, 6, 7");
  EXPECT_EQ(SumText({0, 1, 2, 3, 5}), "0..3+5");
  EXPECT_EQ(SumText({3}), "3");
}

TEST(ExplainCollective, EveryScheduleEndsWithTheWholeSumEverywhere) {
  for (const CollectiveInfo& info : Collectives()) {
    for (int32_t workers = 2; workers <= 9; ++workers) {
      const absl::StatusOr<Story> story = StoryOf(info.name, workers);
      ASSERT_TRUE(story.ok()) << info.name << " N=" << workers << ": " << story.status();
      for (const auto& row : story->scenes.back().holdings) {
        for (const Holding& holding : row) EXPECT_EQ(holding.kind, Holding::Kind::kWhole);
      }
    }
  }
}

TEST(ExplainGossip, GoesOnUntilEverybodyIsInEverybodyAndSaysWhetherAlike) {
  for (int32_t workers = 2; workers <= 9; ++workers) {
    const auto ring = ExplainGossip(GossipGraph::kRing, workers);
    const auto peer = ExplainGossip(GossipGraph::kOnePeerExponential, workers);
    ASSERT_TRUE(ring.ok() && peer.ok()) << ring.status() << peer.status();
    // News goes one place both ways; with one peer it doubles.
    EXPECT_EQ(static_cast<int32_t>(ring->scenes.size()), 1 + workers / 2) << workers;
    EXPECT_EQ(static_cast<int32_t>(peer->scenes.size()),
              1 + GossipRounds(GossipGraph::kOnePeerExponential, workers))
        << workers;
    const bool is_power = (workers & (workers - 1)) == 0;
    EXPECT_THAT(peer->moral.back(),
                HasSubstr(is_power ? "all have the average of all" : "but not alike"));
    EXPECT_EQ(peer->scenes[1].messages.size(), static_cast<size_t>(workers));
  }
}

TEST(ExplainCollective, TellsTheRingRoundByRound) {
  const absl::StatusOr<Story> story = StoryOf("ring", 4);
  ASSERT_TRUE(story.ok()) << story.status();
  ASSERT_EQ(story->scenes.size(), 1u + 6u);
  for (size_t round = 1; round < story->scenes.size(); ++round) {
    ASSERT_EQ(story->scenes[round].messages.size(), 4u);
    for (const StoryMessage& message : story->scenes[round].messages)
      EXPECT_EQ(message.to, (message.from + 1) % 4);
  }
  EXPECT_THAT(story->scenes[1].title, HasSubstr("added to the own"));
  EXPECT_THAT(story->scenes[6].title, HasSubstr("passed on"));
  EXPECT_THAT(story->moral,
              ElementsAre(HasSubstr("Every worker sends 1.5 times the gradient in 6 rounds"),
                          HasSubstr("All together send 6 times")));
}

TEST(ExplainCollective, CountsOnlyRoundsInWhichSomethingIsSent) {
  const absl::StatusOr<Story> story = StoryOf("halving_doubling", 4);
  ASSERT_TRUE(story.ok()) << story.status();
  EXPECT_THAT(story->moral.front(),
              HasSubstr("Every worker sends 1.5 times the gradient in 4 rounds"));
}

TEST(ExplainCollective, NamesTheWorkersThatSendMore) {
  const absl::StatusOr<Story> story = StoryOf("reduce_broadcast", 4);
  ASSERT_TRUE(story.ok()) << story.status();
  EXPECT_THAT(story->moral, ElementsAre(HasSubstr("worker 0 sends 3 times"),
                                        HasSubstr("workers 1-3 send each 1 times"),
                                        HasSubstr("All together send 6 times")));
}

// Both ranks add the other's whole gradient, but rank 1 sends its sum once more.
class AddsTwice : public Schedule {
 public:
  absl::string_view name() const override { return "adds_twice"; }
  std::vector<Step> StepsOf(int32_t rank, int32_t) const override {
    const int32_t peer = 1 - rank;
    std::vector<Step> steps = {{Step::Op::kSend, peer, 0, 2, 0},
                               {Step::Op::kReceiveAdd, peer, 0, 2, 0}};
    steps.push_back(rank == 1 ? Step{Step::Op::kSend, 0, 0, 2, 1}
                              : Step{Step::Op::kReceiveAdd, 1, 0, 2, 1});
    return steps;
  }
};

TEST(ExplainCollective, NoticesAGradientAddedTwice) {
  const absl::StatusOr<Story> story = ExplainCollective(AddsTwice(), 2);
  ASSERT_FALSE(story.ok());
  EXPECT_THAT(std::string(story.status().message()),
              HasSubstr("is added twice in chunk 0 of worker/0"));
}

class AwaitsSilence : public Schedule {
 public:
  absl::string_view name() const override { return "awaits_silence"; }
  std::vector<Step> StepsOf(int32_t rank, int32_t) const override {
    if (rank == 1) return {};
    return {{Step::Op::kReceive, 1, 0, 2, 0}};
  }
};

TEST(ExplainCollective, NoticesAMessageThatNobodySends) {
  const absl::StatusOr<Story> story = ExplainCollective(AwaitsSilence(), 2);
  ASSERT_FALSE(story.ok());
  EXPECT_THAT(std::string(story.status().message()), HasSubstr("which does not send it"));
}

TEST(ExplainServer, ShowsThatSumsKeepRankOrder) {
  ServerScheme scheme;
  scheme.workers = 3;
  const absl::StatusOr<Story> story = ExplainServer(scheme);
  ASSERT_TRUE(story.ok()) << story.status();
  ASSERT_EQ(story->scenes.size(), 1u + 3u + 1u);
  // worker/1 comes first and waits for worker/0.
  EXPECT_EQ(story->scenes[1].holdings[3][0].text, "v0, 1 waits");
  EXPECT_THAT(story->scenes[1].remarks, ElementsAre(HasSubstr("waits for worker/0")));
  EXPECT_EQ(story->scenes[2].holdings[3][0].text, "sum 0+1");
  EXPECT_EQ(story->scenes[3].holdings[3][0].text, "v1");
  for (int worker = 0; worker < 3; ++worker)
    EXPECT_EQ(story->scenes.back().holdings[worker][0].text, "v1");
  EXPECT_THAT(
      story->moral,
      ElementsAre(HasSubstr("The server sends 3 times the gradient and receives 3 times"),
                  HasSubstr("worker/2 sends 1 times"), HasSubstr("All together send 6 times")));
}

TEST(ExplainGather, EverybodyGetsEveryEncodingOnceAndEndsWithTheSum) {
  for (int32_t workers = 2; workers <= 5; ++workers) {
    const absl::StatusOr<Story> story = ExplainGather(workers);
    ASSERT_TRUE(story.ok()) << story.status();
    ASSERT_EQ(story->scenes.size(), 3u);
    std::set<std::pair<int32_t, int32_t>> ways;
    for (const StoryMessage& message : story->scenes[1].messages)
      ways.insert({message.from, message.to});
    EXPECT_EQ(ways.size(), static_cast<size_t>(workers * (workers - 1)));
    EXPECT_EQ(story->scenes[1].messages.size(), ways.size());
    for (const auto& row : story->scenes[1].holdings) {
      for (const Holding& holding : row) EXPECT_NE(holding.kind, Holding::Kind::kNothing);
    }
    for (const auto& row : story->scenes[2].holdings) EXPECT_EQ(row[0].kind, Holding::Kind::kWhole);
  }
}

TEST(ExplainServer, ServersBesideAllWorkersSendWhatTheRingSends) {
  ServerScheme scheme;
  scheme.workers = 4;
  scheme.servers = 4;
  scheme.colocated = true;
  const absl::StatusOr<Story> story = ExplainServer(scheme);
  ASSERT_TRUE(story.ok()) << story.status();
  EXPECT_THAT(
      story->moral,
      ElementsAre(HasSubstr("Every process sends 1.5 times the gradient and receives 1.5 times"),
                  HasSubstr("All together send 6 times the gradient; a ring")));
}

TEST(ExplainServer, ParksAWorkerThatIsTooFarAheadOnlyWhereThereIsABound) {
  ServerScheme scheme;
  scheme.workers = 3;
  scheme.together = false;
  const absl::StatusOr<Story> free = ExplainServer(scheme);
  scheme.staleness_bound = 1;
  const absl::StatusOr<Story> bounded = ExplainServer(scheme);
  ASSERT_TRUE(free.ok() && bounded.ok());
  EXPECT_THAT(StoryText(*free, 120), Not(HasSubstr("Parked")));
  EXPECT_THAT(StoryText(*bounded, 120),
              HasSubstr("Parked: worker/1 at clock 2 awaits clock 1 of worker/0 (at 0)"));
  EXPECT_GT(free->scenes.size(), bounded->scenes.size());
  EXPECT_EQ(bounded->scenes.back().holdings[0][0].text, "2");
}

TEST(StoryText, PutsMessagesSideBySideOnlyWhereTheyFit) {
  const absl::StatusOr<Story> story = StoryOf("ring", 4);
  ASSERT_TRUE(story.ok());
  for (const int width : {40, 80, 160}) {
    const std::string text = StoryText(*story, width);
    size_t longest = 0;
    for (size_t begin = text.find("Round 1"), end;
         (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (text.compare(begin, 3, "  w") == 0) longest = std::max(longest, end - begin);
    }
    EXPECT_LE(longest, width + 8u) << width;  // an arrow is three bytes and one column
  }
}

TEST(StoryPage, CarriesTheWholeStoryAndNeedsNoNetwork) {
  const absl::StatusOr<Story> story = StoryOf("ring", 3);
  ASSERT_TRUE(story.ok());
  const std::string page = StoryPage(*story);
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, Not(HasSubstr("<link")));
  const std::string start = "const story = ";
  const size_t begin = page.find(start) + start.size();
  const auto json = nlohmann::json::parse(page.substr(begin, page.find(";\n", begin) - begin));
  EXPECT_EQ(json["scenes"].size(), story->scenes.size());
  EXPECT_EQ(json["scenes"][1]["holdings"][0][0]["text"], story->scenes[1].holdings[0][0].text);
}

}  // namespace
}  // namespace ringmaster
