#include "experiments/trace/last_words_text.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using testing::EndsWith;

NodeLastWords* AddNode(int32_t index, LastWords* words) {
  NodeLastWords* node = words->add_nodes();
  node->mutable_activity()->mutable_node()->set_index(index);
  node->mutable_activity()->set_step(3);
  node->mutable_activity()->set_phase("forward");
  node->set_since_seconds(1.25);
  return node;
}

TEST(LastWordsText, HasALineANodeAndSaysWhoWasGoneAndWhatWasParked) {
  RunRecord record;
  EXPECT_EQ(LastWordsText(record.last_words()), "");
  AddNode(0, record.add_last_words())->set_parked("worker/1 at clock 2");
  LastWords* killed = record.add_last_words();
  killed->set_silent_because("it is gone, with signal 9 (Killed)");
  killed->set_heard_seconds(0.5);
  AddNode(1, killed);
  LastWords* unheard = record.add_last_words();
  unheard->set_process(2);
  unheard->set_pid(77);
  unheard->set_silent_because("it is suspended");
  EXPECT_EQ(LastWordsText(record.last_words()),
            "worker/0 at step=3 phase=forward computes for 1.2s; parked: worker/1 at clock 2\n"
            "worker/1 at step=3 phase=forward computes for 1.2s, said 0.5s before the end: it is "
            "gone, with signal 9 (Killed)\n"
            "process 2 (pid 77) reported nothing: it is suspended\n");
}

TEST(LastWordsText, OfManyNodesTheFirstAreTold) {
  RunRecord record;
  for (int32_t i = 0; i < 20; ++i) AddNode(i, record.add_last_words());
  const std::string text = LastWordsText(record.last_words());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 17);
  EXPECT_THAT(text, EndsWith("and 4 more\n"));
}

}  // namespace
}  // namespace ringmaster
