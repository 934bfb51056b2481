#include "common/trace/thread_recorder.h"

#include <string>

#include "common/trace/trace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"
#include "tests/support/allocations.h"

namespace ringmaster {
namespace {

using Keeps = ThreadRecorder::Keeps;
using std::chrono::nanoseconds;
using testing::ElementsAre;

// An arbitrary clock: `ns` after its beginning.
Clock::time_point At(int64_t ns) { return Clock::time_point(nanoseconds(ns)); }

std::vector<std::string> PhasesOf(const ThreadTrace& trace) {
  std::vector<std::string> phases;
  for (const TraceSpan& span : trace.spans()) phases.push_back(span.phase());
  return phases;
}

TEST(ThreadRecorder, KeepsWhatBelongsToTracedSteps) {
  ThreadRecorder recorder("worker/1", "step", {5, 7}, Keeps::kSpans);
  for (int64_t step = 3; step < 9; ++step)
    recorder.AddSpan("load", step, 2, At(100 * step), At(100 * step + 30));
  const ThreadTrace trace = recorder.Trace();
  EXPECT_EQ(trace.node(), "worker/1");
  EXPECT_EQ(trace.thread(), "step");
  EXPECT_EQ(trace.dropped(), 0);
  ASSERT_EQ(trace.spans_size(), 2);
  EXPECT_EQ(trace.spans(0).step(), 5);
  EXPECT_EQ(trace.spans(0).begin_ns(), 500);
  EXPECT_EQ(trace.spans(0).duration_ns(), 30);
  EXPECT_EQ(trace.spans(0).bucket(), 2);
  EXPECT_EQ(trace.spans(1).step(), 6);
}

TEST(ThreadRecorder, PutsSpansInOrderOfTheirBeginAndThoseAroundOthersFirst) {
  ThreadRecorder recorder("worker/0", "step", {0, 1}, Keeps::kSpans);
  recorder.AddSpan("load", 0, -1, At(0), At(10));
  recorder.AddSpan("gate", 0, -1, At(10), At(10));  // nothing happened
  recorder.AddSpan("forward", 0, -1, At(10), At(50));
  recorder.AddSpan("step", 0, -1, At(0), At(60));
  EXPECT_THAT(PhasesOf(recorder.Trace()), ElementsAre("step", "load", "forward"));
}

TEST(ThreadRecorder, MessagesHaveTheTagsNameTheStepAndTheirBytes) {
  ThreadRecorder recorder("worker/0", "exchange", {4, 5}, Keeps::kSpansAndMessages);
  Tag tag{MessageKind::kWeights, 3, 2, 17};
  tag.piece = 6;
  tag.channel = 8;
  recorder.AddSent({{Role::kServer, 1}, tag, 4, 4096}, At(7));
  recorder.AddReceived({{Role::kWorker, 1}, tag, 4, 12, "returned"}, At(9));
  recorder.AddReceived({{Role::kWorker, 1}, tag, 5, 12}, At(11));
  const ThreadTrace trace = recorder.Trace();
  ASSERT_EQ(trace.sent_size(), 1);
  EXPECT_EQ(trace.sent(0).peer(), "server/1");
  EXPECT_EQ(trace.sent(0).kind(), "weights");
  EXPECT_EQ(trace.sent(0).step(), 4);  // the training's, not the tag's
  EXPECT_EQ(trace.sent(0).bucket(), 2);
  EXPECT_EQ(trace.sent(0).round(), 3);
  EXPECT_EQ(trace.sent(0).piece(), 6);
  EXPECT_EQ(trace.sent(0).channel(), 8);
  EXPECT_EQ(trace.sent(0).payload_bytes(), 4096);
  EXPECT_EQ(trace.sent(0).time_ns(), 7);
  ASSERT_EQ(trace.received_size(), 1);
  EXPECT_EQ(trace.received(0).kind(), "returned");
}

TEST(ThreadRecorder, WhatHasNoRoomIsCountedAndNothingIsAllocatedForIt) {
  ThreadRecorder recorder("worker/0", "exchange", {0, 2}, Keeps::kSpansAndMessages);
  constexpr int64_t kRoom = 2 * ThreadRecorder::kEventsPerStep;
  const int64_t before = ThreadAllocations();
  for (int64_t i = 0; i < kRoom + 5; ++i) recorder.AddSpan("exchange", i % 2, -1, At(i), At(i + 1));
  for (int64_t i = 0; i < kRoom + 7; ++i) recorder.AddSent({{Role::kWorker, 1}, {}, 1, 8}, At(i));
  EXPECT_EQ(ThreadAllocations(), before);
  const ThreadTrace trace = recorder.Trace();
  EXPECT_EQ(trace.spans_size(), kRoom);
  EXPECT_EQ(trace.sent_size(), kRoom);
  EXPECT_EQ(trace.dropped(), 12);
  EXPECT_EQ(trace.spans(kRoom - 1).begin_ns(), kRoom - 1);
}

TEST(ThreadRecorder, ManyTracedStepsTakeNoMoreThanTheLargestMemory) {
  ThreadRecorder recorder("worker/0", "step", {0, 1000}, Keeps::kSpans);
  for (int64_t i = 0; i < ThreadRecorder::kEventsMax + 1; ++i)
    recorder.AddSpan("load", i % 1000, -1, At(i), At(i + 1));
  EXPECT_EQ(recorder.Trace().spans_size(), ThreadRecorder::kEventsMax);
  EXPECT_EQ(recorder.Trace().dropped(), 1);
}

TEST(ThreadRecorder, TheLastEventsAreThereWhateverIsTraced) {
  ThreadRecorder recorder("worker/0", "exchange", {0, 0}, Keeps::kSpansAndMessages, 4);
  PhaseTimes times(&recorder);
  recorder.BeginStep(7);
  times.Add(Phase::kExchange, At(1), At(2), 3);
  recorder.EndStep();
  times.Add(Phase::kReduce, At(2), At(5));
  recorder.AddSent({{Role::kWorker, 1}, {}, 7, 8}, At(6));
  recorder.AddReceived({{Role::kWorker, 2}, {}, 7, 8}, At(7));
  EXPECT_EQ(recorder.Trace().spans_size() + recorder.Trace().sent_size(), 0);
  const std::vector<KeptEvent> events = recorder.last_events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_STREQ(events[0].span.name, "exchange");
  EXPECT_EQ(events[0].span.step, 7);
  EXPECT_EQ(events[0].span.bucket, 3);
  EXPECT_EQ(events[1].span.step, -1);
  EXPECT_EQ(events[2].message.end.peer.index, 1);
  EXPECT_EQ(events[3].message.end.peer.index, 2);
  recorder.AddSent({{Role::kWorker, 3}, {}, 7, 8}, At(8));
  EXPECT_EQ(recorder.last_events().front().span.step, -1);
}

TEST(PhaseTimes, StretchesAreRecordedInTheStepUnderWayAndCountAlways) {
  ThreadRecorder recorder("worker/0", "step", {1, 2}, Keeps::kSpans);
  PhaseTimes times(&recorder);
  for (int64_t step = 0; step < 3; ++step) {
    recorder.BeginStep(step);
    times.Add(Phase::kForward, At(1000), At(3000), 4);
    recorder.EndStep();
    times.Add(Phase::kExposed, At(3000), At(4000));  // between steps
  }
  EXPECT_DOUBLE_EQ(times.Milliseconds(Phase::kForward), 0.006);
  EXPECT_DOUBLE_EQ(times.Milliseconds(Phase::kExposed), 0.003);
  const ThreadTrace trace = recorder.Trace();
  ASSERT_THAT(PhasesOf(trace), ElementsAre("forward"));
  EXPECT_EQ(trace.spans(0).step(), 1);
  EXPECT_EQ(trace.spans(0).bucket(), 4);
  times.Clear();
  EXPECT_EQ(times.Milliseconds(Phase::kForward), 0);
}

}  // namespace
}  // namespace ringmaster
