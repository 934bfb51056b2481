#include "experiments/program/store/json.h"

#include <limits>
#include <string>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/schema_version.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using Json = nlohmann::json;

RunRecord Record() {
  RunRecord record;
  record.set_run_id("r1");
  record.set_started_at("2024-01-01T00:00:00Z");
  RunSpec base;
  base.mutable_training()->set_steps(4);
  base.mutable_data()->set_seed(18446744073709551615u);
  *record.mutable_spec() = *Resolve(*MakeArm("async-topk", base), {"/data", 0});
  record.mutable_build()->set_commit("abc-dirty");
  record.mutable_machine()->set_cores(2);
  RunSummary* summary = record.mutable_summary();
  summary->set_arm("async-topk");
  summary->set_strategy("parameter_server");
  summary->set_codec("topk");
  summary->set_workers(2);
  summary->set_servers(1);
  summary->set_transport("grpc");
  summary->set_status("ok");
  summary->set_samples_per_second(1234.5);
  (*summary->mutable_phase_ms())["forward"] = 1.5;
  (*summary->mutable_seconds_to_accuracy())["0.97"] = 7.25;
  summary->set_exposed_comm_ms(1.5);
  summary->set_hidden_comm_ms(6);
  summary->set_contention_ms(0.5);
  summary->set_staleness_max(3);
  summary->set_steps(4);
  summary->set_global_batch(64);
  return record;
}

TEST(Json, ARunHasEveryFigureOfTheCatalogueUnderItsTag) {
  const Json json = Json::parse(SummaryJson(Record()));
  for (const Figure& figure : Figures()) {
    EXPECT_EQ(json.contains(figure.tag), figure.in_json) << figure.tag;
    EXPECT_EQ(json["nodes"].contains(figure.tag), figure.of_node != nullptr) << figure.tag;
  }
  EXPECT_EQ(json["schema_version"], kSchemaVersion);
}

TEST(Json, FiguresOfNodesStandInTheOrderOfTheNodesAndAreNullWhereTheyAreNotDefined) {
  RunRecord record = Record();
  NodeFigures* worker = record.mutable_summary()->add_nodes();
  worker->set_node("worker/0");
  (*worker->mutable_figures())["step_ms_p50"] = 1.5;
  NodeFigures* server = record.mutable_summary()->add_nodes();
  server->set_node("server/0");
  server->set_process(1);
  server->set_shared(true);
  (*server->mutable_figures())["staleness_max"] = 2;
  const Json nodes = Json::parse(SummaryJson(record))["nodes"];
  EXPECT_EQ(nodes["node"], Json::parse(R"(["worker/0", "server/0"])"));
  EXPECT_EQ(nodes["process"], Json::parse("[0, 1]"));
  EXPECT_EQ(nodes["shared"], Json::parse("[false, true]"));
  EXPECT_EQ(nodes["step_ms_p50"], Json::parse("[1.5, null]"));
  EXPECT_EQ(nodes["staleness_max"].dump(), "[null,2]");
  EXPECT_EQ(Json::parse(NodesJson(record.summary())), nodes);
}

TEST(Json, FiguresKeepTheirTypesAndWhatIsUndefinedIsNull) {
  const Json json = Json::parse(SummaryJson(Record()));
  EXPECT_EQ(json["arm"], "async-topk");
  EXPECT_EQ(json["workers"], 2);
  EXPECT_EQ(json["samples_per_second"], 1234.5);
  EXPECT_EQ(json["phase_ms"], Json::parse(R"({"forward": 1.5})"));
  EXPECT_EQ(json["seconds_to_accuracy"], Json::parse(R"({"0.97": 7.25, "0.98": null})"));
  EXPECT_EQ(json["staleness_max"], 3);
  EXPECT_EQ(json["exposed_and_contention_ms"], 2.0);
  EXPECT_EQ(json["exposed_share"], 0.2);
  EXPECT_TRUE(json["staleness_mean"].is_null());
  EXPECT_TRUE(json["weights_sha256"].is_null());
  EXPECT_TRUE(json["final_loss"].is_null());
}

TEST(Json, TheSpecIsAnObjectWithExactNumbersAndNamesOfEnums) {
  const Json spec = Json::parse(SummaryJson(Record()))["spec"];
  EXPECT_EQ(spec["data"]["seed"], 18446744073709551615u);
  EXPECT_EQ(spec["optimizer"]["learning_rate"].dump(), "0.1");
  EXPECT_EQ(spec["strategy"]["parameter_server"]["consistency"], "ASYNCHRONOUS");
  EXPECT_EQ(spec["strategy"]["launch"], "PROCESSES");
  EXPECT_EQ(spec["codec"]["error_feedback"], true);
}

TEST(Json, ItStaysOneLineOfValidJsonWhateverTheStatusHolds) {
  RunRecord record = Record();
  record.mutable_summary()->set_status("INTERNAL: \"quoted\"\nnext\tline \x01");
  record.mutable_summary()->set_final_loss(std::numeric_limits<double>::quiet_NaN());
  const std::string line = SummaryJson(record);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(Json::parse(line)["status"], record.summary().status());
  EXPECT_TRUE(Json::parse(line)["final_loss"].is_null());
}

TEST(Json, SeriesAndEvaluationsAreThereAsLongAsTheReportsAre) {
  RunRecord record;
  WorkerReport* worker = record.add_reports()->add_workers();
  worker->set_rank(1);
  worker->add_step_ms(2.5f);
  worker->add_step_loss(0.1f);
  worker->add_evaluations()->set_test_accuracy(0.75);
  const nlohmann::json with = nlohmann::json::parse(SummaryJson(record));
  EXPECT_EQ(with["series"],
            nlohmann::json::parse(R"([{"rank": 1, "step_ms": [2.5], "loss": [0.1]}])"));
  EXPECT_EQ(with["evaluations"][0]["test_accuracy"], 0.75);
  record.clear_reports();
  EXPECT_FALSE(nlohmann::json::parse(SummaryJson(record)).contains("series"));
}

TEST(Json, EveryWireIsThereWithItsBytes) {
  RunRecord record;
  WorkerReport* worker = record.add_reports()->add_workers();
  EXPECT_FALSE(Json::parse(SummaryJson(record))["series"][0].contains("wires"));
  worker->add_wires()->set_wire("shm");
  worker->mutable_wires(0)->set_payload_bytes_up(12);
  worker->add_wires()->set_wire("tcp");
  worker->mutable_wires(1)->set_payload_bytes_down(34);
  EXPECT_EQ(Json::parse(SummaryJson(record))["series"][0]["wires"], Json::parse(R"([
      {"wire": "shm", "payload_bytes_up": 12, "payload_bytes_down": 0},
      {"wire": "tcp", "payload_bytes_up": 0, "payload_bytes_down": 34}])"));
}

TEST(Json, TheCollectiveOfEveryBucketIsNamedAndHalvesAreCounted) {
  RunRecord record;
  WorkerReport* worker = record.add_reports()->add_workers();
  worker->add_bucket_collectives("ring");
  worker->add_bucket_collectives("recursive_doubling");
  worker->mutable_halves()->set_elements(10);
  worker->mutable_halves()->set_zeros(3);
  const Json json = Json::parse(SummaryJson(record));
  EXPECT_EQ(json["bucket_collectives"], Json::parse(R"(["ring", "recursive_doubling"])"));
  EXPECT_EQ(json["series"][0]["halves"], Json::parse(R"({"elements": 10, "zeros": 3})"));
}

TEST(Json, WhatWasTunedStandsBesideWhatItWasFoundFrom) {
  RunRecord record = Record();
  EXPECT_FALSE(Json::parse(SummaryJson(record)).contains("tuned"));
  EXPECT_EQ(TunedJson(record.summary()), "{}");
  TuningTrial* trial = record.add_tuning();
  trial->set_status("ok");
  trial->set_final_loss(0.5);
  trial->set_chosen(true);
  TunedValue* value = trial->add_values();
  value->set_field("optimizer.learning_rate");
  value->set_value("0.16");
  value->set_at_edge(true);
  *record.mutable_summary()->mutable_tuned() = trial->values();
  const Json json = Json::parse(SummaryJson(record));
  EXPECT_EQ(json["tuned"],
            Json::parse(R"({"optimizer.learning_rate": {"value": "0.16", "at_edge": true}})"));
  EXPECT_EQ(json["tuning"][0]["final_loss"], 0.5);
  EXPECT_EQ(json["tuning"][0]["chosen"], true);
  EXPECT_EQ(Json::parse(TunedJson(record.summary())), json["tuned"]);
}

TEST(Json, AFailedRunHasItsLastWordsWithEventsByTheTimeOfTheirEnd) {
  RunRecord record = Record();
  EXPECT_FALSE(Json::parse(SummaryJson(record)).contains("last_words"));
  LastWords* gone = record.add_last_words();
  gone->set_process(0);
  gone->set_pid(40);
  gone->set_silent_because("it is gone");
  gone->set_heard_seconds(0.5);
  LastWords* words = record.add_last_words();
  words->set_process(1);
  words->set_pid(41);
  NodeLastWords* node = words->add_nodes();
  node->set_since_seconds(2);
  node->set_parked("worker/0 at clock 2 awaits clock 1 of worker/1 (at 0)");
  NodeActivity* activity = node->mutable_activity();
  activity->mutable_node()->set_server(true);
  activity->set_state(NodeActivity::WAITS);
  activity->set_phase("serve");
  AwaitedMessage* push = activity->add_awaited();
  push->mutable_peer()->set_index(1);
  push->set_kind(AwaitedMessage::PUSH);
  push->set_step(3);
  ThreadTrace* thread = node->add_threads();
  thread->set_thread("shard");
  TraceSpan* span = thread->add_spans();
  span->set_phase("push");
  span->set_step(2);
  span->set_bucket(1);
  span->set_begin_ns(1'000'000);
  span->set_duration_ns(5'000'000);
  TraceMessage* received = thread->add_received();
  received->set_kind("push");
  received->set_peer("worker/0");
  received->set_step(2);
  received->set_bucket(1);
  received->set_payload_bytes(400);
  received->set_time_ns(1'500'000);
  EXPECT_EQ(Json::parse(SummaryJson(record))["last_words"], Json::parse(R"json([
    {"process": 0, "pid": 40, "silent_because": "it is gone", "heard_seconds": 0.5, "nodes": []},
    {"process": 1, "pid": 41, "silent_because": null, "heard_seconds": 0.0, "nodes": [
      {"node": "server/0", "state": "waits", "step": 0, "phase": "serve", "bucket": 0,
       "since_seconds": 2.0,
       "awaited": [{"peer": "worker/1", "message": "push", "is_send": false, "step": 3,
                    "bucket": 0}],
       "parked": "worker/0 at clock 2 awaits clock 1 of worker/1 (at 0)",
       "events": [
         {"at_ms": 1.5, "thread": "shard", "what": "received", "message": "push",
          "peer": "worker/0", "step": 2, "bucket": 1, "round": 0, "piece": 0, "bytes": 400},
         {"at_ms": 1.0, "thread": "shard", "what": "push", "step": 2, "bucket": 1,
          "ms": 5.0}]
}]
}])json"));
}

TEST(Json, AComparisonIsOneObjectWithItsRunsInOrder) {
  RunRecord second = Record();
  second.mutable_summary()->set_arm("ring");
  const Json json = Json::parse(ComparisonJson({Record(), second}));
  EXPECT_EQ(json["schema_version"], kSchemaVersion);
  ASSERT_EQ(json["runs"].size(), 2u);
  EXPECT_EQ(json["runs"][1]["arm"], "ring");
}

}  // namespace
}  // namespace ringmaster
