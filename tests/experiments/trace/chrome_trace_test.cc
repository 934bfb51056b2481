#include "experiments/trace/chrome_trace.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::HasSubstr;

void AddSpan(const char* phase, int64_t step, int32_t bucket, int64_t begin_ns, int64_t duration_ns,
             ThreadTrace* trace) {
  TraceSpan* span = trace->add_spans();
  span->set_phase(phase);
  span->set_step(step);
  span->set_bucket(bucket);
  span->set_begin_ns(begin_ns);
  span->set_duration_ns(duration_ns);
}

void Fill(const char* peer, int32_t bucket, int64_t bytes, int64_t time_ns, TraceMessage* message) {
  message->set_peer(peer);
  message->set_kind("push");
  message->set_step(7);
  message->set_bucket(bucket);
  message->set_payload_bytes(bytes);
  message->set_time_ns(time_ns);
}

// A worker that pushes one bucket to a server, which lists itself first.
RunRecord PushOfOneBucket() {
  RunRecord record;
  record.set_run_id("20261125T000000Z-00000001");
  record.set_started_at("2026-11-25T00:00:00+00:00");
  record.mutable_spec()->set_name("ps");
  record.mutable_spec()->mutable_model()->set_name("mlp");
  record.mutable_spec()->mutable_training()->set_workers(1);
  record.mutable_build()->set_commit("abc");
  record.mutable_summary()->set_transport("tcp");
  ThreadTrace* server = record.add_reports()->add_traces();
  server->set_node("server/0");
  server->set_thread("shard");
  AddSpan("push", 7, 2, 2600, 900, server);
  AddSpan("update", 7, 2, 2700, 800, server);
  Fill("worker/0", 2, 4000, 2600, server->add_received());
  ProcessReport* process = record.add_reports();
  ThreadTrace* step = process->add_traces();
  step->set_node("worker/0");
  step->set_thread("step");
  AddSpan("step", 7, -1, 1000, 2000, step);
  AddSpan("forward", 7, -1, 1001, 500, step);
  ThreadTrace* exchange = process->add_traces();
  exchange->set_node("worker/0");
  exchange->set_thread("exchange");
  AddSpan("exchange", 7, 2, 1500, 1000, exchange);
  Fill("server/0", 2, 4000, 2499, exchange->add_sent());
  return record;
}

TEST(ChromeTrace, IsThisForOnePush) {
  EXPECT_EQ(
      MakeChromeTrace(PushOfOneBucket()).json,
      R"({"displayTimeUnit":"ms","otherData":{"run_id":"20261125T000000Z-00000001","arm":"ps","started_at":"2026-11-25T00:00:00+00:00","model":"mlp","workers":1,"transport":"tcp","commit":"abc","dropped_events":0,"message_ends_without_the_other":0},"traceEvents":[
{"ph":"M","name":"process_name","pid":1,"tid":1,"args":{"name":"worker/0"}},
{"ph":"M","name":"process_sort_index","pid":1,"tid":1,"args":{"sort_index":1}},
{"ph":"M","name":"thread_name","pid":1,"tid":1,"args":{"name":"step"}},
{"ph":"M","name":"thread_sort_index","pid":1,"tid":1,"args":{"sort_index":1}},
{"ph":"M","name":"thread_name","pid":1,"tid":2,"args":{"name":"exchange"}},
{"ph":"M","name":"thread_sort_index","pid":1,"tid":2,"args":{"sort_index":2}},
{"ph":"M","name":"process_name","pid":2,"tid":3,"args":{"name":"server/0"}},
{"ph":"M","name":"process_sort_index","pid":2,"tid":3,"args":{"sort_index":2}},
{"ph":"M","name":"thread_name","pid":2,"tid":3,"args":{"name":"shard"}},
{"ph":"M","name":"thread_sort_index","pid":2,"tid":3,"args":{"sort_index":3}},
{"ph":"X","name":"step","pid":1,"tid":1,"args":{"step":7},"cat":"step","ts":1.0,"dur":2.0},
{"ph":"X","name":"forward","pid":1,"tid":1,"args":{"step":7},"cat":"compute","ts":1.001,"dur":0.5},
{"ph":"X","name":"exchange","pid":1,"tid":2,"args":{"step":7,"bucket":2,"sent_bytes":4000},"cat":"exchange","ts":1.5,"dur":1.0},
{"ph":"X","name":"push","pid":2,"tid":3,"args":{"step":7,"bucket":2,"received_bytes":4000},"cat":"server","ts":2.6,"dur":0.9},
{"ph":"X","name":"update","pid":2,"tid":3,"args":{"step":7,"bucket":2},"cat":"compute","ts":2.7,"dur":0.8},
{"ph":"s","name":"push","pid":1,"tid":2,"args":{"step":7,"bucket":2,"bytes":4000},"cat":"message","id":1,"ts":2.499},
{"ph":"f","name":"push","pid":2,"tid":3,"args":{"step":7,"bucket":2,"bytes":4000},"cat":"message","id":1,"bp":"e","ts":2.6},
{"ph":"C","name":"bytes sent, not arrived","pid":1,"tid":2,"args":{"bytes":4000},"ts":2.499},
{"ph":"C","name":"bytes sent, not arrived","pid":1,"tid":2,"args":{"bytes":0},"ts":2.6}
]}
)");
}

TEST(ChromeTrace, CountsWhatItShows) {
  RunRecord record = PushOfOneBucket();
  record.mutable_reports(1)->mutable_traces(0)->set_dropped(4);
  const ChromeTrace trace = MakeChromeTrace(record);
  EXPECT_EQ(trace.steps, 1);
  EXPECT_EQ(trace.threads, 3);
  EXPECT_EQ(trace.spans, 5);
  EXPECT_EQ(trace.messages, 1);
  EXPECT_EQ(trace.single_ends, 0);
  EXPECT_EQ(trace.dropped, 4);
}

TEST(ChromeTrace, AMessageWithoutItsOtherEndOrOutsideAllSpansIsNoFlow) {
  RunRecord record = PushOfOneBucket();
  ThreadTrace* exchange = record.mutable_reports(1)->mutable_traces(1);
  Fill("server/0", 3, 8, 1600, exchange->add_sent());  // never arrived
  Fill("server/0", 4, 8, 9000, exchange->add_sent());  // the span around it had no room
  Fill("worker/0", 4, 8, 3000, record.mutable_reports(0)->mutable_traces(0)->add_received());
  const ChromeTrace trace = MakeChromeTrace(record);
  EXPECT_EQ(trace.messages, 1);
  EXPECT_EQ(trace.single_ends, 3);
  const json parsed = json::parse(trace.json);
  int flow_ends = 0;
  for (const json& event : parsed["traceEvents"])
    flow_ends += event["ph"] == "s" || event["ph"] == "f" ? 1 : 0;
  EXPECT_EQ(flow_ends, 2);
}

TEST(ChromeTrace, AFlowThatEndsWithItsSpanEndsJustWithinIt) {
  RunRecord record = PushOfOneBucket();
  record.mutable_reports(1)->mutable_traces(1)->mutable_sent(0)->set_time_ns(2500);
  EXPECT_THAT(MakeChromeTrace(record).json, HasSubstr("\"id\":1,\"ts\":2.499}"));
}

TEST(ChromeTrace, TimesBeforeWorkerZerosStartAreMovedToZero) {
  RunRecord record = PushOfOneBucket();
  record.mutable_reports(1)->mutable_traces(0)->mutable_spans(0)->set_begin_ns(-500);
  record.mutable_reports(1)->mutable_traces(0)->mutable_spans(0)->set_duration_ns(3500);
  const json events = json::parse(MakeChromeTrace(record).json)["traceEvents"];
  for (const json& event : events) {
    if (event["ph"] != "M") {
      EXPECT_GE(event["ts"].get<double>(), 0) << event;
    }
    if (event["name"] == "forward") {
      EXPECT_EQ(event["ts"].get<double>(), 1.501);
    }
  }
}

TEST(ChromeTrace, NodesComeWorkersFirstAndByNumber) {
  RunRecord record;
  for (const char* node : {"server/1", "worker/10", "server/0", "worker/2"}) {
    ThreadTrace* trace = record.add_reports()->add_traces();
    trace->set_node(node);
    trace->set_thread("t");
    AddSpan("step", 0, -1, 0, 1, trace);
  }
  std::vector<std::string> nodes;
  const json events = json::parse(MakeChromeTrace(record).json)["traceEvents"];
  for (const json& event : events) {
    if (event["name"] == "process_name") nodes.push_back(event["args"]["name"]);
  }
  EXPECT_THAT(nodes, testing::ElementsAre("worker/2", "worker/10", "server/0", "server/1"));
}

TEST(ChromeTrace, AFailedRunsLastEventsAreShownLikeTracedStepsWithItsStatus) {
  const RunRecord good = PushOfOneBucket();
  RunRecord failed = good;
  failed.clear_reports();
  failed.set_status("INTERNAL: broken");
  for (const ProcessReport& report : good.reports()) {
    NodeLastWords* node = failed.add_last_words()->add_nodes();
    *node->mutable_threads() = report.traces();
    node->mutable_activity()->mutable_node()->set_server(report.traces(0).node() == "server/0");
  }
  const ChromeTrace trace = MakeChromeTrace(failed);
  EXPECT_EQ(trace.spans, 5);
  EXPECT_EQ(trace.messages, 1);
  const json parsed = json::parse(trace.json);
  EXPECT_EQ(parsed["traceEvents"], json::parse(MakeChromeTrace(good).json)["traceEvents"]);
  EXPECT_EQ(parsed["otherData"]["status"], "INTERNAL: broken");
  EXPECT_THAT(parsed["otherData"]["last_words"].get<std::string>(),
              HasSubstr("worker/0 at step=0 phase=start computes for 0.0s\n"));
}

}  // namespace
}  // namespace ringmaster
