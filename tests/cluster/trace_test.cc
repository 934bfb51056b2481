// What a run records of a few steps, and `trace`: real processes and sockets, the file read by a
// JSON parser.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "experiments/program/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/cluster/small_run.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kWarmup = 2;
constexpr int kTraced = 3;

// From, to, kind, step, bucket, round, piece, bytes.
using Name =
    std::tuple<std::string, std::string, std::string, int64_t, int32_t, int32_t, int32_t, int64_t>;

// One run of every timed step traced, in a store of its own.
class Traced : public testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  void SetUp() override {
    std::vector<std::string> arguments = {"--arms", GetParam().first, "--transport",
                                          GetParam().second};
    // A worker that claims its work may end before the steps that are traced.
    if (DescribeArm(GetParam().first).traits.work == Work::kClaimed)
      arguments.insert(arguments.end(), {"--set", "strategy.work=DEALT"});
    const Finished finished = Run(arguments);
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, Not(HasSubstr("begin_ns")));
    record_ = Records().back();
    for (const ProcessReport& report : record_.reports()) {
      for (const ThreadTrace& trace : report.traces())
        threads_[trace.node() + " " + trace.thread()] = trace;
    }
  }

  Finished Run(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--json", "--out", folder_, "--steps",
                                          absl::StrCat(kWarmup + kTraced)};
    for (const std::string& value : {absl::StrCat("training.warmup_steps=", kWarmup),
                                     absl::StrCat("output.trace_steps=", kTraced)}) {
      arguments.insert(arguments.end(), {"--set", value});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(SmallRun("compare", arguments));
  }
  std::vector<RunRecord> Records() { return *(*Store::Open(folder_))->Records(); }

  // The run's trace, through the program.
  json TraceFile() {
    const std::string path = folder_ + "/trace.json";
    const Finished finished = RunProgram({"trace", "last", "--out", folder_, "-o", path});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("3 steps of run "), HasSubstr("ui.perfetto.dev")));
    std::ifstream file(path);
    return json::parse(file);
  }

  const ThreadTrace& Thread(const std::string& name) {
    EXPECT_EQ(threads_.count(name), 1u) << name;
    return threads_[name];
  }
  bool has_servers() const { return record_.spec().strategy().has_parameter_server(); }
  bool pulls() const {
    return has_servers() &&
           record_.spec().strategy().parameter_server().consistency() != ParameterServerSpec::BSP;
  }

  const std::string folder_ = NewFolder("trace");
  RunRecord record_;
  std::map<std::string, ThreadTrace> threads_;  // by "worker/0 step"
};

INSTANTIATE_TEST_SUITE_P(Arms, Traced,
                         testing::Values(std::pair("ring", "tcp"), std::pair("ring", "shm"),
                                         std::pair("ring", "grpc"), std::pair("ps", "grpc"),
                                         std::pair("ps-sharded", "shm"), std::pair("ssp", "tcp"),
                                         std::pair("dp", "inproc"), std::pair("async-topk", "tcp")),
                         [](const auto& info) {
                           std::string name =
                               absl::StrCat(info.param.first, "_", info.param.second);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Traced, EverySendHasItsReceiveWhichIsNotEarlier) {
  std::map<Name, std::vector<int64_t>> sent, received;
  int64_t buckets = 0;
  for (const auto& [name, trace] : threads_) {
    EXPECT_EQ(trace.dropped(), 0) << name;
    for (const TraceMessage& m : trace.sent()) {
      sent[{trace.node(), m.peer(), m.kind(), m.step(), m.bucket(), m.round(), m.piece(),
            m.payload_bytes()}]
          .push_back(m.time_ns());
      buckets = std::max<int64_t>(buckets, m.bucket() + 1);
    }
    for (const TraceMessage& m : trace.received()) {
      received[{m.peer(), trace.node(), m.kind(), m.step(), m.bucket(), m.round(), m.piece(),
                m.payload_bytes()}]
          .push_back(m.time_ns());
    }
  }
  for (const auto& [name, times] : sent) {
    const std::string text =
        absl::StrCat(std::get<0>(name), " > ", std::get<1>(name), " ", std::get<2>(name), " step ",
                     std::get<3>(name), " bucket ", std::get<4>(name));
    ASSERT_EQ(times.size(), 1u) << text;
    ASSERT_EQ(received[name].size(), 1u) << text;
    EXPECT_GE(received[name][0], times[0]) << text;
    EXPECT_GE(std::get<3>(name), kWarmup);
    EXPECT_LT(std::get<3>(name), kWarmup + kTraced);
  }
  EXPECT_EQ(sent.size(), received.size());
  // Two workers: of each bucket and step a ring's two messages, or to and from every server a push
  // and the weights; where weights are pulled, a request and its answer too.
  const int64_t servers = record_.spec().strategy().parameter_server().servers();
  const int64_t per_worker =
      has_servers() ? servers * (2 * buckets + (pulls() ? 2 : 0)) : 2 * buckets;
  EXPECT_GE(buckets, 2);
  EXPECT_EQ(static_cast<int64_t>(sent.size()), kTraced * 2 * per_worker);
}

TEST_P(Traced, StepThreadsSpansLieInTheirStepAndSumUpToThePhases) {
  for (const ProcessReport& report : record_.reports()) {
    for (const WorkerReport& worker : report.workers()) {
      const ThreadTrace& trace = Thread(absl::StrCat("worker/", worker.rank(), " step"));
      std::map<std::string, double> sums;
      const TraceSpan* step = nullptr;
      double step_ms = 0;
      for (const TraceSpan& span : trace.spans()) {
        if (span.phase() == "step") {
          EXPECT_TRUE(step == nullptr || step->begin_ns() + step->duration_ns() <= span.begin_ns());
          EXPECT_EQ(span.step(), step == nullptr ? kWarmup : step->step() + 1);
          step = &span;
          step_ms += span.duration_ns() / 1e6;
          continue;
        }
        ASSERT_NE(step, nullptr);
        EXPECT_EQ(span.step(), step->step());
        EXPECT_GE(span.begin_ns(), step->begin_ns()) << span.phase();
        EXPECT_LE(span.begin_ns() + span.duration_ns(), step->begin_ns() + step->duration_ns())
            << span.phase();
        sums[span.phase()] += span.duration_ns() / 1e6 / kTraced;
      }
      ASSERT_NE(step, nullptr);
      EXPECT_EQ(step->step(), kWarmup + kTraced - 1);
      double reported_ms = 0;
      for (int i = kWarmup; i < worker.step_ms_size(); ++i) reported_ms += worker.step_ms(i);
      EXPECT_NEAR(step_ms, reported_ms, 1e-4 * reported_ms);
      for (const char* phase :
           {"gate", "load", "upload", "forward", "backward", "download", "exposed", "update"}) {
        EXPECT_NEAR(sums[phase], worker.phase_ms().at(phase), 1e-5) << phase;
      }
      EXPECT_GT(sums["backward"], 0);
      // An exchange thread that drains at the end, when no step is under way, has that in its
      // phases alone.
      if (pulls()) continue;
      double exchange_ms = 0;
      for (const TraceSpan& span :
           Thread(absl::StrCat("worker/", worker.rank(), " exchange")).spans()) {
        if (span.phase() == "exchange") exchange_ms += span.duration_ns() / 1e6 / kTraced;
      }
      EXPECT_NEAR(exchange_ms, worker.phase_ms().at("exchange"), 1e-5);
    }
  }
}

TEST_P(Traced, TheFileHasEveryThreadNestedSpansAndFlowsWithTwoEndsInSpans) {
  const json file = TraceFile();
  struct Span {
    double begin, end;
  };
  std::map<int64_t, std::vector<Span>> spans;       // by tid
  std::map<int64_t, std::vector<json>> flows;       // by id
  std::map<int64_t, std::string> processes, names;  // by pid, by tid
  std::map<int64_t, int64_t> process_of;            // by tid
  for (const json& event : file.at("traceEvents")) {
    const std::string kind = event.at("ph");
    const int64_t tid = event.at("tid");
    if (event.at("name") == "process_name")
      processes[event.at("pid")] = event.at("args").at("name");
    if (event.at("name") == "thread_name") names[tid] = event.at("args").at("name");
    EXPECT_TRUE(process_of.emplace(tid, event.at("pid")).first->second == event.at("pid"));
    if (kind == "M") continue;
    EXPECT_GE(event.at("ts").get<double>(), 0);
    if (kind == "X") {
      EXPECT_GE(event.at("args").at("step").get<int>(), kWarmup);
      spans[tid].push_back(
          {event.at("ts"), event.at("ts").get<double>() + event.at("dur").get<double>()});
    } else if (kind == "s" || kind == "f") {
      flows[event.at("id")].push_back(event);
    } else {
      EXPECT_EQ(kind, "C");
      EXPECT_GE(event.at("args").at("bytes").get<int64_t>(), 0);
    }
  }
  std::set<std::string> tracks;
  for (const auto& [tid, name] : names)
    tracks.insert(processes.at(process_of.at(tid)) + " " + name);
  std::set<std::string> recorded;
  for (const auto& [name, trace] : threads_) recorded.insert(name);
  EXPECT_EQ(tracks, recorded);
  for (const char* thread :
       {"worker/0 step", "worker/0 exchange", "worker/1 step", "worker/1 exchange"}) {
    EXPECT_EQ(tracks.count(thread), 1u) << thread;
  }
  EXPECT_EQ(tracks.count("server/0 shard"), has_servers() ? 1u : 0u);
  constexpr double kHalfNanosecond = 0.0005;  // of rounding
  for (const auto& [tid, all] : spans) {
    std::vector<double> open;
    for (const Span& span : all) {
      while (!open.empty() && open.back() < span.begin + kHalfNanosecond) open.pop_back();
      if (!open.empty()) {
        EXPECT_LT(span.end, open.back() + kHalfNanosecond) << names[tid];
      }
      open.push_back(span.end);
    }
  }
  EXPECT_GT(flows.size(), 0u);
  for (const auto& [id, ends] : flows) {
    ASSERT_EQ(ends.size(), 2u) << id;
    EXPECT_EQ(ends[0].at("ph"), "s");
    EXPECT_EQ(ends[1].at("ph"), "f");
    EXPECT_EQ(ends[1].at("bp"), "e");
    EXPECT_EQ(ends[0].at("name"), ends[1].at("name"));
    EXPECT_EQ(ends[0].at("cat"), ends[1].at("cat"));
    EXPECT_EQ(ends[0].at("args"), ends[1].at("args"));
    EXPECT_NE(ends[0].at("pid"), ends[1].at("pid"));
    for (const json& end : ends) {
      const double time = end.at("ts");
      const auto& of_thread = spans[end.at("tid")];
      EXPECT_TRUE(std::any_of(of_thread.begin(), of_thread.end(), [time](const Span& span) {
        return span.begin < time + kHalfNanosecond && time + kHalfNanosecond < span.end;
      })) << end;
    }
  }
  int64_t sent = 0;
  for (const auto& [name, trace] : threads_) sent += trace.sent_size();
  EXPECT_EQ(static_cast<int64_t>(flows.size()), sent);
  EXPECT_EQ(file.at("otherData").at("dropped_events"), 0);
}

class TraceCommand : public testing::Test {
 protected:
  std::string ErrorOf(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "trace");
    arguments.insert(arguments.end(), {"--out", folder_});
    const Finished finished = RunProgram(arguments);
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    EXPECT_EQ(finished.out, "");
    return finished.err;
  }
  void Train(const std::vector<std::string>& more, int exit_code = 0) {
    std::vector<std::string> arguments = {"--transport", "tcp", "--out", folder_, "--steps", "6"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(RunProgram(SmallRun("compare", arguments)).exit_code, exit_code);
  }
  const std::string folder_ = NewFolder("trace_command");
};

TEST_F(TraceCommand, WritesToAFileOrToStandardOutputAndListsRuns) {
  Train({"--arms", "solo,ring"});
  const Finished list = RunProgram({"trace", "--out", folder_});
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.out, AllOf(HasSubstr("solo  2 workers"),
                              HasSubstr("ring  2 workers, tcp, 3 steps traced")));
  const Finished printed = RunProgram({"trace", "ring", "--out", folder_, "-o", "-"});
  EXPECT_EQ(printed.exit_code, 0);
  EXPECT_EQ(json::parse(printed.out).at("otherData").at("arm"), "ring");
  const std::string path = folder_ + "/solo.json";
  EXPECT_EQ(RunProgram({"trace", "solo", "--out", folder_, "-o", path}).exit_code, 0);
  std::ifstream file(path);
  EXPECT_EQ(json::parse(file).at("otherData").at("arm"), "solo");
}

TEST_F(TraceCommand, SaysWhatIsWrongAndWhatToDo) {
  EXPECT_THAT(ErrorOf({"ring"}), AllOf(HasSubstr("no results in"), HasSubstr("--out")));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/results.sqlite"));
  Train({"--arms", "ring", "--set", "output.trace_steps=0"});
  EXPECT_THAT(ErrorOf({"last"}), HasSubstr("run it with --set output.trace_steps=3"));
  EXPECT_THAT(ErrorOf({}), HasSubstr("no run here was traced"));
  Train({"--arms", "single"});
  EXPECT_THAT(ErrorOf({"rink"}),
              AllOf(HasSubstr("no run \"rink\""), HasSubstr("single  2 workers")));
  EXPECT_THAT(ErrorOf({"20"}), HasSubstr("is the beginning of 2 run ids"));
  EXPECT_THAT(ErrorOf({"single", "-o", folder_ + "/none/trace.json"}), HasSubstr("/none/"));
  // A run that fails before its processes are started leaves nothing to show.
  Train({"--arms", "ps", "--workers", "4", "--set", "limits.join_seconds=0.001"}, 1);
  EXPECT_THAT(ErrorOf({"ps"}), AllOf(HasSubstr("failed"), HasSubstr("DEADLINE_EXCEEDED")));
}

}  // namespace
}  // namespace ringmaster
