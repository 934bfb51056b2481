#include "common/control/last_words.h"

#include <functional>
#include <string>
#include <vector>

#include "common/control/activity_text.h"
#include "common/trace/thread_recorder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

// A process with a worker and a server.
Join JoinOfTwo() {
  Join join;
  join.add_nodes()->set_index(1);
  NodeName* server = join.add_nodes();
  server->set_index(1);
  server->set_server(true);
  return join;
}

// As much as it may say.
LastWords Longest() {
  const std::string name(kNameBytesMax, 'n');
  LastWords words;
  const Join join = JoinOfTwo();
  for (const NodeName& node : join.nodes()) {
    NodeLastWords* of_node = words.add_nodes();
    NodeActivity* activity = of_node->mutable_activity();
    *activity->mutable_node() = node;
    activity->set_phase(name);
    for (int64_t i = 0; i < kAwaitedMax; ++i) activity->add_awaited();
    of_node->set_parked(std::string(kParkedBytesMax, 'p'));
    ThreadTrace* thread = of_node->add_threads();
    thread->set_node(NameOf(node));
    thread->set_thread(name);
    for (int64_t i = 0; i < ThreadRecorder::kLastEvents - 2; ++i)
      thread->add_spans()->set_phase(name);
    for (TraceMessage* message : {thread->add_sent(), thread->add_received()}) {
      message->set_peer(name);
      message->set_kind(name);
    }
  }
  return words;
}

TEST(LastWords, FitUpToTheirLimits) {
  const absl::Status status = CheckLastWords(Longest(), JoinOfTwo());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(CheckLastWords(LastWords(), JoinOfTwo()).ok());
}

TEST(LastWords, OneMoreOfAnythingIsRefusedAndNamed) {
  const struct {
    std::function<void(LastWords*)> change;
    const char* text;
  } kCases[] = {
      {[](LastWords* w) { w->mutable_nodes(0)->mutable_threads(0)->add_spans(); },
       "worker/1: events: 201, expected at most 200"},
      {[](LastWords* w) {
         ThreadTrace* another = w->mutable_nodes(1)->add_threads();
         another->set_node("server/1");
         another->add_sent();
       },
       "server/1: events: 201, expected at most 200"},
      {[](LastWords* w) { w->mutable_nodes(0)->mutable_activity()->add_awaited(); },
       "worker/1: awaited messages: 4097"},
      {[](LastWords* w) { w->mutable_nodes(0)->mutable_activity()->mutable_phase()->append("x"); },
       "worker/1: bytes of its phase: 65"},
      {[](LastWords* w) { w->mutable_nodes(1)->mutable_parked()->append("x"); },
       "server/1: bytes about parked pulls: 4097"},
      {[](LastWords* w) {
         w->mutable_nodes(0)->mutable_threads(0)->mutable_sent(0)->mutable_peer()->append("x");
       },
       "worker/1: a thread of another node, or a name of more than 64 bytes"},
      {[](LastWords* w) {
         w->mutable_nodes(0)->mutable_threads(0)->mutable_spans(0)->mutable_phase()->append("x");
       },
       "worker/1: a thread of another node, or a name of more than 64 bytes"},
      {[](LastWords* w) { w->mutable_nodes(0)->mutable_threads(0)->set_node("worker/2"); },
       "worker/1: a thread of another node"},
      {[](LastWords* w) { w->mutable_nodes(0)->add_threads()->set_node("worker/1"); },
       "worker/1: a thread without events"},
      {[](LastWords* w) { *w->mutable_nodes(1) = w->nodes(0); },
       "worker/1 comes twice, or is no node of the process"},
      {[](LastWords* w) { w->add_nodes(); }, "nodes: 3, expected at most 2"},
      {[](LastWords* w) { w->mutable_clock()->set_name(std::string(5000, 'c')); },
       "bytes of its clock's name: 5000"},
  };
  for (const auto& one : kCases) {
    LastWords words = Longest();
    one.change(&words);
    const absl::Status status = CheckLastWords(words, JoinOfTwo());
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << one.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(one.text));
  }
}

TEST(LastWords, WhatServersSayOfManyParkedPullsIsCut) {
  EXPECT_EQ(ShortenParked("worker/1 at clock 2"), "worker/1 at clock 2");
  const std::string cut = ShortenParked(std::string(10'000, 'p'));
  EXPECT_EQ(static_cast<int64_t>(cut.size()), kParkedBytesMax);
  EXPECT_THAT(cut, testing::EndsWith("p..."));
}

TEST(ActivityText, SaysWhereANodeIsAndForWhomItWaits) {
  NodeActivity activity;
  activity.mutable_node()->set_index(3);
  activity.set_step(12);
  EXPECT_EQ(DescribeActivity(activity), "worker/3 at step=12 phase=start computes");
  activity.set_phase("backward");
  activity.set_bucket(5);
  EXPECT_EQ(DescribeActivity(activity), "worker/3 at step=12 phase=backward bucket=5 computes");
  activity.set_phase("exchange");
  activity.set_state(NodeActivity::WAITS);
  AwaitedMessage* push = activity.add_awaited();
  push->mutable_peer()->set_server(true);
  push->set_kind(AwaitedMessage::PUSH);
  push->set_is_send(true);
  push->set_step(11);
  push->set_bucket(2);
  activity.add_awaited();
  EXPECT_EQ(DescribeActivity(activity),
            "worker/3 at step=12 phase=exchange waits for server/0 (push to it step=11 bucket=2) "
            "and 1 more");
  activity.set_state(NodeActivity::AT_BARRIER);
  EXPECT_THAT(DescribeActivity(activity), testing::EndsWith("phase=exchange waits at a barrier"));
}

}  // namespace
}  // namespace ringmaster
