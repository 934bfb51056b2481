#include "experiments/study/predict/simulated_trace.h"

#include <chrono>
#include <string>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

Clock::time_point At(int64_t nanoseconds) {
  return Clock::time_point(std::chrono::nanoseconds(nanoseconds));
}

// Lets time pass until then.
void PassTo(Nanoseconds time, EventQueue* queue) {
  queue->At(time, [] {});
  EXPECT_TRUE(queue->RunNext());
}

TEST(SimulatedTrace, WantsTheTracedStepsAlone) {
  const EventQueue queue;
  const SimulatedTrace trace({{5, 8}, 10}, &queue);
  for (const int64_t step : {5, 6, 7}) EXPECT_TRUE(trace.Wants(step)) << step;
  for (const int64_t step : {-1, 0, 4, 8, 1 << 30}) EXPECT_FALSE(trace.Wants(step)) << step;
  EXPECT_FALSE(SimulatedTrace().Wants(0));
  EXPECT_FALSE(SimulatedTrace().Wants(-1));
}

TEST(SimulatedTrace, HasRoomForARealThreadsEventsOrForItsShareOfAll) {
  EXPECT_EQ(TraceExtentOf({2, 5}, 4).events_max, 3 * ThreadRecorder::kEventsPerStep);
  EXPECT_EQ(TraceExtentOf({2, 1002}, 1).events_max, ThreadRecorder::kEventsMax);
  EXPECT_EQ(TraceExtentOf({2, 5}, 1 << 10).events_max, ThreadRecorder::kEventsMax / (1 << 10));
  EXPECT_EQ(TraceExtentOf({0, 0}, 4).events_max, 0);
}

TEST(SimulatedTrace, CountsWhatHasNoRoom) {
  EventQueue queue;
  SimulatedTrace trace({{0, 1}, 2}, &queue);
  for (int i = 0; i < 5; ++i) {
    trace.Sent({{Role::kWorker, 1}, {}, 0, 8});
    trace.Received({{Role::kWorker, 1}, {}, 0, 8});
  }
  const ThreadEvents events = trace.Events("worker/0", "exchange");
  EXPECT_EQ(events.sent.size(), 2u);
  EXPECT_EQ(events.received.size(), 2u);
  EXPECT_EQ(events.dropped, 6);
}

// From the first message of each bucket to the last one before the next bucket's.
TEST(SimulatedTrace, ExchangesFollowEachOtherAndHoldTheirMessages) {
  EventQueue queue;
  SimulatedTrace trace({{0, 2}, 10}, &queue);
  trace.BeginExchange(0, 3);
  PassTo(10, &queue);
  trace.Received({{Role::kWorker, 1}, {}, 0, 8});
  PassTo(15, &queue);
  trace.Left();
  PassTo(20, &queue);
  trace.BeginExchange(0, 2);
  PassTo(40, &queue);
  trace.BeginExchange(1, 3);
  trace.BeginExchange(1, 2);
  PassTo(41, &queue);
  trace.Left();
  const ThreadEvents events = trace.Events("worker/0", "exchange");
  ASSERT_EQ(events.spans.size(), 3u);
  const auto expect_span = [&](int index, int64_t step, int32_t bucket, int64_t begin,
                               int64_t end) {
    const SpanEvent& span = events.spans[index];
    EXPECT_EQ(std::string(span.name), "exchange");
    EXPECT_EQ(span.step, step);
    EXPECT_EQ(span.bucket, bucket);
    EXPECT_EQ(span.begin, At(begin));
    EXPECT_EQ(span.end, At(end));
  };
  expect_span(0, 0, 3, 0, 15);
  expect_span(1, 0, 2, 20, 21);   // nothing followed
  expect_span(2, 1, -1, 40, 41);  // of several buckets at once
}

TEST(SimulatedTrace, WhatTakesNoTimeIsThereOnceInAMoment) {
  EventQueue queue;
  SimulatedTrace trace({{0, 1}, 10}, &queue);
  PassTo(7, &queue);
  for (int i = 0; i < 3; ++i) {
    trace.AddSpan("push", 0, i, 7);
    trace.AddSpan(i < 2 ? "add" : "update", 0, i, 7);
  }
  const ThreadEvents events = trace.Events("server/0", "shard");
  ASSERT_EQ(events.spans.size(), 3u);
  for (const SpanEvent& span : events.spans) {
    EXPECT_EQ(span.begin, At(7));
    EXPECT_EQ(span.end, At(8));
  }
  EXPECT_EQ(std::string(events.spans[2].name), "update");
}

}  // namespace
}  // namespace ringmaster
