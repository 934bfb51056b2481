// What the coordinator makes of the last words of processes, event by event.
#include <string>
#include <vector>

#include "common/control/control_core.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

TEST(LastWords, ThoseWhoAreThereSayThemAfterTheEndAndAreAnswered) {
  FormedRun run(2);
  run.Fail(0, absl::InternalError("worker/0 step=7: broken"));
  EXPECT_FALSE(run.core().has_last_words());
  run.SayLastWords(0, 7);
  EXPECT_FALSE(run.core().has_last_words());
  run.SayLastWords(1, 6);
  EXPECT_TRUE(run.core().has_last_words());
  run.SayLastWords(1, 99);  // the first count
  for (const int32_t i : {0, 1}) EXPECT_EQ(run.Count(i, ToProcess::kNoted), 1);
  const std::vector<LastWords> words = run.core().GatherLastWords(run.now());
  ASSERT_EQ(words.size(), 2u);
  for (int32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(words[i].process(), i);
    EXPECT_EQ(words[i].pid(), 1000 + i);
    EXPECT_EQ(words[i].silent_because(), "");
    EXPECT_EQ(words[i].nodes(0).activity().step(), 7 - i);
  }
}

TEST(LastWords, OfWhoIsGoneOrSilentItsLastReportStandsAndWhyItSaidNothing) {
  FormedRun run(4);
  for (const int32_t i : {0, 1, 2, 3}) run.SayItWaits(i, 10 + i, 0);
  run.Pass(absl::Seconds(2));
  run.NoteEnd(1, "signal 9 (Killed)");
  run.Leave(1);
  run.Leave(2);
  EXPECT_FALSE(run.core().has_last_words());
  run.SayLastWords(0, 3);
  run.witness.suspended.insert(1003);
  EXPECT_FALSE(run.core().has_last_words());
  run.Pass(absl::Milliseconds(500));
  const std::vector<LastWords> words = run.core().GatherLastWords(run.now());
  ASSERT_EQ(words.size(), 4u);
  EXPECT_EQ(words[0].silent_because(), "");
  EXPECT_EQ(words[1].silent_because(), "it is gone, with signal 9 (Killed)");
  EXPECT_EQ(words[2].silent_because(), "it is gone");
  EXPECT_EQ(words[3].silent_because(), "it is suspended");
  for (const int32_t i : {1, 2, 3}) {
    ASSERT_EQ(words[i].nodes_size(), 1);
    EXPECT_EQ(words[i].nodes(0).activity().step(), 10 + i);
    EXPECT_EQ(words[i].nodes(0).activity().awaited(0).peer().index(), 0);
    EXPECT_DOUBLE_EQ(words[i].heard_seconds(), 2.5);
  }
  run.witness.suspended.clear();
  EXPECT_EQ(run.core().GatherLastWords(run.now())[3].silent_because(),
            "it did not answer within 500ms");
}

TEST(LastWords, ThatAreTooMuchOrOfAnotherNodeAreNotKeptAndItIsSaid) {
  FormedRun run(2);
  run.Fail(0, absl::InternalError("broken"));
  FromProcess message;
  message.mutable_last_words()->add_nodes()->mutable_activity()->mutable_node()->set_index(1);
  run.Say(0, message);
  run.SayLastWords(1, 6);
  EXPECT_TRUE(run.core().has_last_words());
  const std::vector<LastWords> words = run.core().GatherLastWords(run.now());
  EXPECT_EQ(words[0].silent_because(),
            "last words: worker/1 comes twice, or is no node of the process");
  EXPECT_EQ(words[0].nodes_size(), 0);
  EXPECT_EQ(words[1].nodes_size(), 1);
}

TEST(LastWords, NobodyIsAwaitedInARunThatIsDoneOrWasNeverFormed) {
  FormedRun done(1);
  done.Finish(0);
  EXPECT_TRUE(done.core().has_last_words());
  EXPECT_TRUE(done.core().GatherLastWords(done.now()).empty());
  CoreRun early(RulesOf(2));
  EXPECT_TRUE(early.Join(0).ok());
  early.Abort(absl::CancelledError("interrupted"));
  EXPECT_TRUE(early.core().has_last_words());
  early.SayLastWords(0, 0);
  EXPECT_TRUE(early.core().GatherLastWords(early.now()).empty());
}

}  // namespace
}  // namespace ringmaster
