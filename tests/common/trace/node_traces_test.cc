#include "common/trace/node_traces.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/trace/skew.h"
#include "common/trace/training_clock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "proto/record.pb.h"

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

Clock::time_point At(int64_t ns) { return Clock::time_point(std::chrono::nanoseconds(ns)); }

TEST(LastEvents, OfAllThreadsTheLatestTwoHundredAreToldAndThePhaseThatIsOpen) {
  WorkerTraces worker(2, {0, 0});
  // Every other nanosecond one, by turns.
  for (int64_t i = 0; i < 300; ++i) {
    worker.step.AddSpan("forward", i, -1, At(4 * i), At(4 * i + 1));
    worker.exchange.AddSent({{Role::kWorker, 1}, {}, i, 8}, At(4 * i + 3));
  }
  worker.exchange.AddSent({{Role::kWorker, 1}, {}, 301, 8}, At(5000));  // later than `now`
  NodeLastWords words;
  words.mutable_activity()->set_phase("exchange");
  words.mutable_activity()->set_step(300);
  worker.AddLast(At(1497), &words);
  ASSERT_EQ(words.threads_size(), 2);
  const ThreadTrace& step = words.threads(0);
  const ThreadTrace& exchange = words.threads(1);
  EXPECT_EQ(step.node(), "worker/2");
  EXPECT_EQ(step.thread(), "step");
  EXPECT_EQ(exchange.thread(), "exchange");
  EXPECT_EQ(step.spans_size() + exchange.sent_size(), 200);
  // 199 events, the oldest of which is the message of step 200, and the open phase.
  EXPECT_EQ(exchange.sent_size(), 100);
  EXPECT_EQ(exchange.sent(0).step(), 200);
  EXPECT_EQ(exchange.sent(99).step(), 299);
  const TraceSpan& open = step.spans(99);
  EXPECT_EQ(open.phase(), "exchange");
  EXPECT_EQ(open.step(), 300);
  EXPECT_EQ(open.begin_ns(), 1197);
  EXPECT_EQ(open.duration_ns(), 300);
  EXPECT_DOUBLE_EQ(words.since_seconds(), 300e-9);
}

TEST(LastEvents, OfAServerAreThoseOfTheShardAndOfItsParkedPulls) {
  ServerTraces server(1, 2, {0, 0});
  server.shard.AddSpan("push", 4, 0, At(10), At(20));
  server.parked[1].AddSpan("parked", 4, -1, At(5), At(30));
  NodeLastWords words;
  server.AddLast(At(50), &words);
  ASSERT_EQ(words.threads_size(), 2);
  EXPECT_EQ(words.threads(0).thread(), "shard");
  EXPECT_EQ(words.threads(0).spans_size(), 1);
  EXPECT_EQ(words.threads(1).thread(), "parked worker/1");
  EXPECT_DOUBLE_EQ(words.since_seconds(), 30e-9);
}

TEST(LastEvents, OfANodeThatDidNothingThereAreNone) {
  NodeLastWords words;
  WorkerTraces(0, {0, 0}).AddLast(At(50), &words);
  EXPECT_EQ(words.threads_size(), 0);
  EXPECT_EQ(words.since_seconds(), 0);
}

LastWords WordsAt(const char* clock, int64_t welcomed_ns, int64_t started_ns, int64_t time_ns) {
  LastWords words;
  words.mutable_clock()->set_name(clock);
  words.mutable_clock()->set_welcomed_ns(welcomed_ns);
  words.mutable_clock()->set_started_ns(started_ns);
  words.add_nodes()->add_threads()->add_spans()->set_begin_ns(time_ns);
  return words;
}

std::vector<int64_t> Aligned(const std::vector<LastWords>& all) {
  google::protobuf::RepeatedPtrField<LastWords> words(all.begin(), all.end());
  AlignLastEvents(&words);
  std::vector<int64_t> times;
  for (const LastWords& each : words) {
    EXPECT_FALSE(each.has_clock());
    times.push_back(each.nodes(0).threads(0).spans(0).begin_ns());
  }
  return times;
}

TEST(LastEvents, AreSetToWorkerZerosStartOrWithoutItToTheWelcome) {
  EXPECT_EQ(Aligned({WordsAt("b", 70'000, 0, 72'500), WordsAt("a", 1'000, 3'000, 3'500)}),
            (std::vector<int64_t>{500, 500}));
  EXPECT_EQ(Aligned({WordsAt("b", 70'000, 0, 72'500), WordsAt("a", 1'000, 0, 3'500)}),
            (std::vector<int64_t>{2'500, 2'500}));
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

TEST(AlignTraces, TimesOfServersMarksCountFromWorkerZerosStartToo) {
  google::protobuf::RepeatedPtrField<ProcessReport> reports;
  AddProcess("b", 70'000, 0, 72'500, &reports);
  AddProcess("a", 1'000, 3'000, 3'500, &reports);
  for (ProcessReport& report : reports) {
    ServerReport* server = report.add_servers();
    server->add_mark_ns(0);  // passed before the run
    server->add_mark_ns(report.traces(0).spans(0).begin_ns());
  }
  AlignTraces(&reports);
  for (const ProcessReport& report : reports) {
    EXPECT_EQ(report.servers(0).mark_ns(0), 0);
    EXPECT_EQ(report.servers(0).mark_ns(1), 500);
  }
}

TEST(TrainingSeconds, LeaveOutPausesAndStandStillInThem) {
  google::protobuf::RepeatedPtrField<TrainingPause> pauses;
  EXPECT_EQ(TrainingSeconds(3'000'000'000, pauses), 3);
  for (const int64_t begin_s : {2, 5}) {
    TrainingPause* pause = pauses.Add();
    pause->set_begin_ns(begin_s * 1'000'000'000);
    pause->set_duration_ns(1'000'000'000);
  }
  const double expected[] = {0, 1, 2, 2, 3, 4, 4, 5};
  for (int64_t second = 0; second < 8; ++second)
    EXPECT_EQ(TrainingSeconds(second * 1'000'000'000, pauses), expected[second]) << second;
}

google::protobuf::RepeatedPtrField<TrainingPause> PausesOf(
    const std::vector<std::pair<int64_t, int64_t>>& begins_and_durations) {
  google::protobuf::RepeatedPtrField<TrainingPause> pauses;
  for (const auto& [begin_s, duration_s] : begins_and_durations) {
    TrainingPause* pause = pauses.Add();
    pause->set_begin_ns(begin_s * 1'000'000'000);
    pause->set_duration_ns(duration_s * 1'000'000'000);
  }
  return pauses;
}

TEST(TrainingSeconds, LeadBackToTheMomentBeforeAPauseThatBeginsThen) {
  const auto pauses = PausesOf({{2, 10}, {15, 100}});
  const std::pair<double, int64_t> expected[] = {
      {0, 0}, {1, 1}, {2, 2}, {2.5, 12}, {5, 15}, {6, 116}};
  for (const auto& [seconds, since] : expected)
    EXPECT_EQ(SinceStartNs(seconds, pauses) / 1'000'000'000, since) << seconds;
}

// The fast worker parks at 2 and 12, the slow one 3 s later; both go on together.
TEST(TrainingSeconds, StandStillForARunWhereAllItsWorkersDo) {
  const auto fast = PausesOf({{2, 8}, {12, 9}}), slow = PausesOf({{5, 5}, {15, 6}});
  const auto common = CommonPauses({&fast, &slow});
  ASSERT_EQ(common.size(), 2);
  EXPECT_EQ(TrainingSeconds(10'000'000'000, common), 5);
  EXPECT_EQ(TrainingSeconds(21'000'000'000, common), 10);
  // Both end at 22, and by their own clocks 6 s apart.
  const auto of_run = [&](double seconds, const auto& own) {
    return TrainingSeconds(SinceStartNs(seconds, own), common);
  };
  EXPECT_EQ(of_run(5, fast), 11);
  EXPECT_EQ(of_run(11, slow), 11);
  EXPECT_EQ(CommonPauses({&fast}).size(), 2);
  const auto none = PausesOf({});
  EXPECT_EQ(CommonPauses({&fast, &none}).size(), 0);
  EXPECT_EQ(CommonPauses({}).size(), 0);
}

TEST(TraceClock, IsTheSameForAllProcessesOfTheMachine) {
  const TraceClock a = ThisTraceClock(Clock::time_point(std::chrono::nanoseconds(5)), {});
  EXPECT_EQ(a.name(), ThisTraceClock({}, {}).name());
  EXPECT_GT(a.name().size(), 10u);
  EXPECT_EQ(a.welcomed_ns(), 5);
  EXPECT_EQ(a.started_ns(), 0);
}

// ---- what is waited for

using Reports = google::protobuf::RepeatedPtrField<ProcessReport>;

constexpr int64_t kMs = 1000000;

// A worker's step: when it had its gradients, and when it waited then, all in milliseconds of its
// clock.
struct Step {
  double computed;
  double wait_begin;
  double wait_end;
};

// A worker in a process of its own, whose clock `name` said `welcomed` when all were welcomed.
ProcessReport Worker(int rank, const std::vector<Step>& steps, const char* name = "a",
                     double welcomed = 0) {
  ProcessReport process;
  process.mutable_trace_clock()->set_name(name);
  process.mutable_trace_clock()->set_welcomed_ns(static_cast<int64_t>(welcomed * kMs));
  WorkerReport* worker = process.add_workers();
  worker->set_rank(rank);
  worker->set_timed_steps(static_cast<int64_t>(steps.size()));
  double last = 0;
  for (const Step& step : steps) {
    worker->add_step_ms(1);
    worker->add_computed_ns(static_cast<int64_t>((step.computed - last) * kMs));
    worker->add_wait_begin_ms(static_cast<float>(step.wait_begin - step.computed));
    worker->add_wait_ms(static_cast<float>(step.wait_end - step.wait_begin));
    last = step.computed;
  }
  return process;
}

Reports Measured(std::vector<ProcessReport> processes, bool waits_for_all = true) {
  Reports reports(processes.begin(), processes.end());
  MeasureSkew(waits_for_all, &reports);
  for (const ProcessReport& process : reports) {
    EXPECT_EQ(process.workers(0).computed_ns_size(), 0);
    EXPECT_EQ(process.workers(0).wait_begin_ms_size(), 0);
    EXPECT_EQ(process.workers(0).wait_ms_size(), 0);
  }
  return reports;
}

TEST(Skew, IsTheWaitUntilTheLastRankHasItsGradients) {
  // Rank 1 takes 20 ms longer; the exchange then takes 3 ms.
  const Reports reports =
      Measured({Worker(0, {{10, 10, 33}, {43, 43, 66}}), Worker(1, {{30, 30, 33}, {63, 63, 66}})});
  EXPECT_NEAR(reports[0].workers(0).skew_ms(), 20, 1e-3);
  EXPECT_NEAR(reports[1].workers(0).skew_ms(), 0, 1e-3);
}

TEST(Skew, OfAWaitBeforeTheStepIsThatOfTheExchangeBefore) {
  // As of a server's worker: in step 1 it waits for the weights of step 0 before it computes.
  const Reports reports =
      Measured({Worker(0, {{10, 10, 10}, {43, 11, 33}}), Worker(1, {{30, 30, 30}, {63, 31, 33}})});
  EXPECT_NEAR(reports[0].workers(0).skew_ms(), 19.0 / 2, 1e-3) << "the first step waited for none";
  EXPECT_NEAR(reports[1].workers(0).skew_ms(), 0, 1e-3);
}

TEST(Skew, IsNoMoreThanTheWaitAndLeavesTheWarmUpOut) {
  // In step 0 rank 0 did not wait until rank 1 was there (its exchange had what it needed).
  auto processes = std::vector<ProcessReport>{Worker(0, {{10, 10, 12}, {40, 40, 41}}),
                                              Worker(1, {{30, 30, 33}, {39, 39, 41}})};
  EXPECT_NEAR(Measured(processes)[0].workers(0).skew_ms(), 2.0 / 2, 1e-3);
  EXPECT_NEAR(Measured(processes)[1].workers(0).skew_ms(), 1.0 / 2, 1e-3);
  for (ProcessReport& process : processes) process.mutable_workers(0)->set_timed_steps(1);
  EXPECT_NEAR(Measured(processes)[0].workers(0).skew_ms(), 0, 1e-3);
  EXPECT_NEAR(Measured(processes)[1].workers(0).skew_ms(), 1, 1e-3);
}

TEST(Skew, LeavesOutTheFirstStepsOfATurn) {
  auto processes =
      std::vector<ProcessReport>{Worker(0, {{10, 10, 33}, {43, 43, 49}, {59, 59, 69}}),
                                 Worker(1, {{30, 30, 33}, {49, 49, 49}, {69, 69, 69}})};
  EXPECT_NEAR(Measured(processes)[0].workers(0).skew_ms(), 36.0 / 3, 1e-3);
  for (ProcessReport& process : processes) {
    process.mutable_workers(0)->add_untimed_steps(1);
    process.mutable_workers(0)->set_timed_steps(2);
  }
  EXPECT_NEAR(Measured(processes)[0].workers(0).skew_ms(), 30.0 / 2, 1e-3);
  for (ProcessReport& process : processes) process.mutable_workers(0)->set_timed_steps(1);
  EXPECT_NEAR(Measured(processes)[0].workers(0).skew_ms(), 10, 1e-3) << "and the warm-up";
}

TEST(Skew, ClocksOfOtherMachinesAreSetByTheWelcome) {
  const Reports reports = Measured(
      {Worker(0, {{1010, 1010, 1033}}, "a", 1000), Worker(1, {{530, 530, 533}}, "b", 500)});
  EXPECT_NEAR(reports[0].workers(0).skew_ms(), 20, 1e-3);
  EXPECT_NEAR(reports[1].workers(0).skew_ms(), 0, 1e-3);
}

TEST(Skew, IsAbsentWhereNobodyWaitsForAllOrOneDidNotMeasure) {
  const std::vector<Step> steps = {{10, 10, 33}};
  EXPECT_FALSE(Measured({Worker(0, steps), Worker(1, steps)}, false)[0].workers(0).has_skew_ms());
  EXPECT_FALSE(Measured({Worker(0, steps)})[0].workers(0).has_skew_ms());
  EXPECT_FALSE(Measured({Worker(0, steps), Worker(1, {})})[0].workers(0).has_skew_ms());
}

TEST(Skew, HasASpanAtTheBeginningOfTheExposedOne) {
  std::vector<ProcessReport> processes = {Worker(0, {{10, 10, 33}}), Worker(1, {{30, 30, 33}})};
  for (int rank = 0; rank < 2; ++rank) {
    ThreadTrace* trace = processes[rank].add_traces();
    trace->set_node(rank == 0 ? "worker/0" : "worker/1");
    trace->set_thread("step");
    for (const char* phase : {"backward", "exposed", "update"}) {
      TraceSpan* span = trace->add_spans();
      span->set_phase(phase);
      span->set_begin_ns(10 * kMs);
      span->set_duration_ns(23 * kMs);
    }
  }
  const Reports reports = Measured(processes);
  ASSERT_EQ(reports[0].traces(0).spans_size(), 4);
  const TraceSpan& skew = reports[0].traces(0).spans(2);
  EXPECT_EQ(skew.phase(), "skew");
  EXPECT_EQ(skew.begin_ns(), 10 * kMs);
  EXPECT_NEAR(static_cast<double>(skew.duration_ns()), 20.0 * kMs, 1000);
  EXPECT_EQ(reports[1].traces(0).spans_size(), 3) << "the last rank waits for nobody";
}

}  // namespace
}  // namespace ringmaster
