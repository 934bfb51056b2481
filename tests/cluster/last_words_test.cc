// A failed run explains itself: what every rank did before the end, what the servers had parked,
// who was gone; in the record, in JSON, in the text and as a trace. Real processes that fail on
// purpose.

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "experiments/program/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kLimit = absl::Seconds(120);
constexpr int64_t kEventsMax = 200;

RunRecord RecordOf(const std::string& folder) { return (*Store::ReadRecords(folder)).back(); }

// What is said of each node, by name.
std::map<std::string, NodeLastWords> NodesOf(const RunRecord& record) {
  std::map<std::string, NodeLastWords> nodes;
  for (const LastWords& words : record.last_words()) {
    for (const NodeLastWords& node : words.nodes()) {
      const NodeName& name = node.activity().node();
      nodes[absl::StrCat(name.server() ? "server/" : "worker/", name.index())] = node;
    }
  }
  return nodes;
}

int64_t EventsOf(const NodeLastWords& node) {
  int64_t events = 0;
  for (const ThreadTrace& thread : node.threads())
    events += thread.spans_size() + thread.sent_size() + thread.received_size();
  return events;
}

// The trace of the run that `folder` holds, checked: every span has a thread that is named, times
// are not below 0, spans of a thread nest, and every flow has two ends.
json CheckedTrace(const std::string& folder) {
  const std::string path = folder + "/trace.json";
  const Finished finished = RunProgram({"trace", "last", "--out", folder, "-o", path});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  std::ifstream file(path);
  json trace = json::parse(file);
  std::map<int64_t, std::string> names;
  std::map<int64_t, std::vector<double>> open;  // by thread, the ends of the spans around
  std::map<int64_t, std::string> flows;
  int64_t spans = 0;
  for (const json& event : trace.at("traceEvents")) {
    const std::string kind = event.at("ph");
    const int64_t tid = event.at("tid");
    if (event.at("name") == "thread_name") names[tid] = event.at("args").at("name");
    if (kind == "M") continue;
    EXPECT_GE(event.at("ts").get<double>(), 0);
    if (kind == "s" || kind == "f") flows[event.at("id")] += kind;
    if (kind != "X") continue;
    ++spans;
    EXPECT_EQ(names.count(tid), 1u);
    constexpr double kHalfNanosecond = 0.0005;  // of rounding
    const double begin = event.at("ts");
    const double end = begin + event.at("dur").get<double>();
    std::vector<double>& around = open[tid];
    while (!around.empty() && around.back() < begin + kHalfNanosecond) around.pop_back();
    if (!around.empty()) {
      EXPECT_LT(end, around.back() + kHalfNanosecond) << names[tid] << " " << event;
    }
    around.push_back(end);
  }
  EXPECT_GT(spans, 0);
  for (const auto& [id, ends] : flows) EXPECT_EQ(ends, "sf") << id;
  return trace;
}

struct Arm {
  const char* name;
  const char* transport;
  std::vector<std::string> nodes;
};

class Failed : public testing::TestWithParam<Arm> {};
INSTANTIATE_TEST_SUITE_P(
    Arms, Failed,
    testing::Values(Arm{"ring", "tcp", {"worker/0", "worker/1", "worker/2"}},
                    Arm{"ps", "shm", {"worker/0", "worker/1", "worker/2", "server/0"}},
                    Arm{"dp", "inproc", {"worker/0", "worker/1", "worker/2", "server/0"}}),
    [](const auto& info) { return std::string(info.param.name); });

// A loss that is not a number, some steps after the first.
TEST_P(Failed, EveryRankAndServerSaysItsLastEventsAndTheyOpenAsATrace) {
  const std::string out = NewFolder("out");
  const Finished finished = RunProgram(SmallRun(
      "compare", {"--arms", GetParam().name, "--workers", "3", "--steps", "100000", "--transport",
                  GetParam().transport, "--json", "--out", out, "--learning-rate", "1e30"}));
  ASSERT_EQ(finished.exit_code, 1) << finished.err;
  const RunRecord record = RecordOf(out);
  EXPECT_THAT(record.status(), HasSubstr("OUT_OF_RANGE"));
  for (const LastWords& words : record.last_words()) EXPECT_EQ(words.silent_because(), "");
  const std::map<std::string, NodeLastWords> nodes = NodesOf(record);
  EXPECT_EQ(nodes.size(), GetParam().nodes.size());
  for (const std::string& name : GetParam().nodes) {
    SCOPED_TRACE(name);
    ASSERT_EQ(nodes.count(name), 1u);
    const NodeLastWords& node = nodes.at(name);
    EXPECT_GT(EventsOf(node), 5);
    EXPECT_LE(EventsOf(node), kEventsMax);
    // Nobody gets to a second step before all have pushed or sent their first gradients.
    int64_t messages = 0;
    for (const ThreadTrace& thread : node.threads())
      messages += name == "server/0" ? thread.received_size() : thread.sent_size();
    EXPECT_GT(messages, 0);
    EXPECT_FALSE(node.activity().phase().empty());
  }
  // The same in JSON, printed and stored.
  std::ifstream lines(out + "/results.jsonl");
  std::string line;
  std::getline(lines, line);
  for (const json& run : {json::parse(finished.out).at("runs").at(0), json::parse(line)}) {
    ASSERT_TRUE(run.contains("last_words"));
    size_t found = 0;
    for (const json& process : run["last_words"]) {
      EXPECT_TRUE(process["silent_because"].is_null());
      for (const json& node : process["nodes"]) {
        ++found;
        const std::string name = node["node"];
        EXPECT_EQ(static_cast<int64_t>(node["events"].size()), EventsOf(nodes.at(name)));
        EXPECT_EQ(node["step"], nodes.at(name).activity().step());
        for (const json& event : node["events"]) {
          EXPECT_TRUE(event.contains("at_ms") && event.contains("what") && event.contains("step"));
          if (event["what"] == "sent") {
            EXPECT_NE(event["peer"], "");
          }
        }
      }
    }
    EXPECT_EQ(found, nodes.size());
  }
  const json trace = CheckedTrace(out);
  EXPECT_EQ(trace.at("otherData").at("status"), record.status());
  std::vector<std::string> processes;
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("name") == "process_name") processes.push_back(event["args"]["name"]);
  }
  EXPECT_THAT(processes, testing::UnorderedElementsAreArray(GetParam().nodes));
}

TEST(LastWords, ATimeoutNamesWhatEachRankWasDoingAndTheServerSaysWhatItHadParked) {
  // A server that lets nobody be a step ahead, and a rank that computes for ever.
  const Finished finished = RunProgram(SmallRun(
      "compare", {"--arms",
                  "ssp",
                  "--workers",
                  "3",
                  "--steps",
                  "100",
                  "--emulate",
                  "5",
                  "--transport",
                  "tcp",
                  "--json",
                  "--out",
                  NewFolder("out"),
                  "--set",
                  "limits.wait_seconds=2",
                  "--set",
                  "limits.heartbeat_seconds=0.2",
                  "--set",
                  "limits.compute_seconds=1",
                  "--set",
                  "strategy.parameter_server.staleness_bound=0",
                  "--set",
                  "training.slowdowns=[{ranks: 1 pause {step: 1 milliseconds: 600000}}]"}));
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  const json run = json::parse(finished.out).at("runs").at(0);
  EXPECT_THAT(
      run["status"].get<std::string>(),
      AllOf(HasSubstr("DEADLINE_EXCEEDED: worker/1 (pid "), HasSubstr("at step=1 phase=forward"),
            HasSubstr("; meanwhile worker/0 at step="), HasSubstr("waits for server/0 ("),
            HasSubstr("; worker/2 at step="), HasSubstr("; server/0 at ")));
  std::map<std::string, json> nodes;
  for (const json& process : run["last_words"]) {
    for (const json& node : process["nodes"]) nodes[node["node"]] = node;
  }
  ASSERT_EQ(nodes.size(), 4u);
  EXPECT_EQ(nodes["worker/1"]["phase"], "forward");
  EXPECT_GE(nodes["worker/1"]["since_seconds"].get<double>(), 1);
  EXPECT_EQ(nodes["worker/0"]["state"], "waits");
  EXPECT_EQ(nodes["worker/0"]["awaited"][0]["peer"], "server/0");
  EXPECT_THAT(nodes["server/0"]["parked"].get<std::string>(),
              AllOf(HasSubstr("worker/0 at clock "), HasSubstr(" of worker/1 (at ")));
}

TEST(LastWords, OfAKilledRankItsLastReportStandsAndTheOthersSayTheirs) {
  const std::string out = NewFolder("out");
  Program program(SmallRun(
      "compare", {"--arms", "ring", "--workers", "3", "--steps", "100000000", "--transport", "tcp",
                  "--evaluate-every", "0", "--out", out, "--set", "limits.heartbeat_seconds=0.1"}));
  ASSERT_TRUE(program.WaitForError(" step ", kLimit)) << program.ErrorSoFar();
  kill(RankNamed(program.pid(), "worker/1"), SIGKILL);
  const Finished finished = program.Wait(kLimit);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, AllOf(HasSubstr("at the end of ring:\nworker/0 at step="),
                                  HasSubstr("before the end: it is gone, with signal 9 (Killed)"),
                                  HasSubstr("ringmaster trace ")));
  const RunRecord record = RecordOf(out);
  ASSERT_EQ(record.last_words_size(), 3);
  for (const int32_t rank : {0, 2}) {
    EXPECT_EQ(record.last_words(rank).silent_because(), "");
    EXPECT_GT(EventsOf(record.last_words(rank).nodes(0)), 5);
  }
  const LastWords& killed = record.last_words(1);
  EXPECT_EQ(killed.silent_because(), "it is gone, with signal 9 (Killed)");
  ASSERT_EQ(killed.nodes_size(), 1);
  EXPECT_GT(killed.nodes(0).activity().step(), 0);
  EXPECT_EQ(EventsOf(killed.nodes(0)), 0);
  CheckedTrace(out);
}

TEST(Verbose, ReachesTheRanksWhetherTheyAreProcessesOrThreads) {
  const struct {
    const char* arm;
    const char* transport;
    std::vector<const char*> lines;
  } kCases[] = {
      {"ring", "tcp", {"debug: worker/0: joined", "debug: worker/1: joined"}},
      {"dp", "inproc", {"debug: worker/0+worker/1+server/0: joined"}},
  };
  for (const auto& one : kCases) {
    for (const bool verbose : {true, false}) {
      std::vector<std::string> more = {"--arms",      one.arm,       "--steps", "3",
                                       "--transport", one.transport, "--out",   NewFolder("out")};
      if (verbose) more.push_back("-v");
      const Finished finished = RunProgram(SmallRun("compare", more));
      EXPECT_EQ(finished.exit_code, 0) << finished.err;
      for (const char* line : one.lines) {
        EXPECT_EQ(finished.err.find(line) != std::string::npos, verbose)
            << one.arm << " " << line << "\n"
            << finished.err;
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
