#include "common/trace/node_traces.h"

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

RunSpec SpecOf(int64_t steps, int32_t warmup_steps, int32_t trace_steps) {
  RunSpec spec;
  spec.mutable_training()->set_steps(steps);
  spec.mutable_training()->set_warmup_steps(warmup_steps);
  spec.mutable_output()->set_trace_steps(trace_steps);
  return spec;
}

TEST(TracedSteps, AreTheFirstAfterWarmUpOrAsManyAsThereAre) {
  const TracedSteps three = TracedStepsOf(SpecOf(100, 10, 3));
  EXPECT_FALSE(three.contains(9));
  EXPECT_TRUE(three.contains(10));
  EXPECT_TRUE(three.contains(12));
  EXPECT_FALSE(three.contains(13));
  EXPECT_EQ(TracedStepsOf(SpecOf(11, 10, 3)).count(), 1);
  EXPECT_EQ(TracedStepsOf(SpecOf(10, 10, 3)).count(), 0);
  EXPECT_EQ(TracedStepsOf(SpecOf(100, 10, 0)).count(), 0);
  EXPECT_EQ(TracedStepsOf(RunSpec()).count(), 0);
}

TEST(NodeTraces, AThreadThatRecordedNothingIsLeftOut) {
  WorkerTraces worker(3, {0, 1});
  worker.exchange.AddSpan("exchange", 0, -1, Clock::time_point(),
                          Clock::time_point() + Clock::duration(5));
  ServerTraces server(1, 2, {0, 1});
  server.parked[1].AddSpan("parked", 0, -1, Clock::time_point(),
                           Clock::time_point() + Clock::duration(5));
  ProcessReport report;
  worker.AddTo(&report);
  server.AddTo(&report);
  ASSERT_EQ(report.traces_size(), 2);
  EXPECT_EQ(report.traces(0).node(), "worker/3");
  EXPECT_EQ(report.traces(0).thread(), "exchange");
  EXPECT_EQ(report.traces(1).node(), "server/1");
  EXPECT_EQ(report.traces(1).thread(), "parked worker/1");
}

void AddProcess(const char* clock, int64_t welcomed_ns, int64_t started_ns, int64_t time_ns,
                google::protobuf::RepeatedPtrField<ProcessReport>* reports) {
  ProcessReport* report = reports->Add();
  report->mutable_trace_clock()->set_name(clock);
  report->mutable_trace_clock()->set_welcomed_ns(welcomed_ns);
  report->mutable_trace_clock()->set_started_ns(started_ns);
  ThreadTrace* trace = report->add_traces();
  trace->add_spans()->set_begin_ns(time_ns);
  trace->add_sent()->set_time_ns(time_ns);
  trace->add_received()->set_time_ns(time_ns);
}

TEST(AlignTraces, ZeroIsWorkerZerosStartAndOtherClocksAreSetByTheWelcome) {
  google::protobuf::RepeatedPtrField<ProcessReport> reports;
  AddProcess("b", 70'000, 0, 72'500, &reports);    // another machine: 2500 after its welcome
  AddProcess("a", 1'000, 3'000, 3'500, &reports);  // worker 0's: it started 2000 after its welcome
  AddProcess("a", 1'400, 0, 3'600, &reports);      // the same machine, woken later by its welcome
  AlignTraces(&reports);
  const int64_t expected[] = {500, 500, 600};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(reports[i].traces(0).spans(0).begin_ns(), expected[i]) << i;
    EXPECT_EQ(reports[i].traces(0).sent(0).time_ns(), expected[i]) << i;
    EXPECT_EQ(reports[i].traces(0).received(0).time_ns(), expected[i]) << i;
    EXPECT_FALSE(reports[i].has_trace_clock());
  }
}

TEST(TraceClock, IsTheSameForAllProcessesOfTheMachine) {
  const TraceClock a = ThisTraceClock(Clock::time_point(std::chrono::nanoseconds(5)), {});
  EXPECT_EQ(a.name(), ThisTraceClock({}, {}).name());
  EXPECT_GT(a.name().size(), 10u);
  EXPECT_EQ(a.welcomed_ns(), 5);
  EXPECT_EQ(a.started_ns(), 0);
}

}  // namespace
}  // namespace ringmaster
