// `--fault`: what is asked for happens to that process at that moment, stands in the record and
// under the table; what cannot be is refused before anything starts.

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Steps of 5 ms.
std::vector<std::string> Compare(const std::string& out, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--emulate",        "5", "--steps", "40",
                                        "--evaluate-every", "0", "--out",   out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return SmallRun("compare", arguments);
}

// The records of a store, by arm.
json RecordsOf(const std::string& out) {
  json records = json::object();
  std::ifstream file(out + "/results.jsonl");
  for (std::string line; std::getline(file, line);) {
    const json record = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (record.is_object()) records[record["arm"].get<std::string>()] = record;
  }
  return records;
}

std::vector<double> StepMs(const json& record, int rank) {
  for (const json& series : record["series"])
    if (series["rank"] == rank) return series["step_ms"].get<std::vector<double>>();
  return {};
}

TEST(FaultFlag, AKillIsNamedInEveryArmThatHasTheWorkerAndTheOthersAreSaid) {
  const std::string out = NewFolder("out");
  const Finished finished =
      RunProgram(Compare(out, {"--arms", "single,ring", "--fault", "worker:1@step=20 kill"}));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr("worker:1@step=20 kill: in ring; not in single: it has no worker/1"),
                    HasSubstr("ring: worker:1@step=20 kill, done "),
                    HasSubstr("arms ran one after the other: --fault")));
  const json records = RecordsOf(out);
  EXPECT_EQ(records["single"]["status"], "ok");
  EXPECT_EQ(records["single"]["faults"][0]["failure"], "the arm has no such process");
  EXPECT_TRUE(records["single"]["faults"][0].value("seconds", json()).is_null());
  EXPECT_THAT(records["ring"]["status"].get<std::string>(),
              AllOf(HasSubstr("worker/1"), HasSubstr("signal 9 (Killed)"), HasSubstr("step=")));
  EXPECT_EQ(records["ring"]["faults"][0]["fault"], "worker:1@step=20 kill");
  // It has made 20 steps of 5 ms.
  EXPECT_GE(records["ring"]["faults"][0]["seconds"].get<double>(), 0.1);
}

TEST(FaultFlag, AServerIsKilledWhenTheFirstWorkerBeginsTheStep) {
  const std::string out = NewFolder("out");
  RunProgram(Compare(out, {"--arms", "ps", "--fault", "server:0@step=20 kill"}));
  const json record = RecordsOf(out)["ps"];
  EXPECT_THAT(record["status"].get<std::string>(),
              AllOf(HasSubstr("server/0"), HasSubstr("signal 9 (Killed)")));
  EXPECT_GE(record["faults"][0]["seconds"].get<double>(), 0.1);
}

TEST(FaultFlag, ACutEndsTheConnectionsOfEveryTransport) {
  for (const std::string& transport : ProcessTransports()) {
    const std::string out = NewFolder("out");
    const Finished finished = RunProgram(Compare(
        out, {"--arms", "ring", "--transport", transport, "--fault", "worker:1@step=20 cut"}));
    EXPECT_EQ(finished.exit_code, 1) << transport;
    EXPECT_THAT(RecordsOf(out)["ring"]["status"].get<std::string>(),
                AllOf(HasSubstr("worker/"), HasSubstr("step="), Not(HasSubstr("no heartbeat"))))
        << transport;
    EXPECT_THAT(finished.out, HasSubstr("worker:1@step=20 cut, done ")) << transport;
  }
}

TEST(FaultFlag, ASlowedWorkerComputesLongerFromTheStepOn) {
  const std::string out = NewFolder("out");
  const Finished finished =
      RunProgram(Compare(out, {"--arms", "solo", "--fault", "worker:1@step=20 slow 8"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const json record = RecordsOf(out)["solo"];
  const std::vector<double> slowed = StepMs(record, 1), other = StepMs(record, 0);
  ASSERT_EQ(slowed.size(), 40u);
  ASSERT_EQ(other.size(), 40u);
  for (size_t step = 20; step < 40; ++step) EXPECT_GE(slowed[step], 39.9) << step;
  EXPECT_LT(*std::min_element(slowed.begin(), slowed.begin() + 20), 39.9);
  EXPECT_LT(*std::min_element(other.begin() + 20, other.end()), 39.9);
}

TEST(FaultFlag, AWorkerThatIsStoppedForATimeGoesOn) {
  const std::string out = NewFolder("out");
  const Finished finished =
      RunProgram(Compare(out, {"--arms", "ring", "--fault", "worker:1@step=20 stop 700ms", "--set",
                               "limits.heartbeat_seconds=2"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  EXPECT_GE(StepMs(RecordsOf(out)["ring"], 1)[20], 699);
}

TEST(FaultFlag, AMomentThatNeverCameIsSaid) {
  const Finished finished = RunProgram(
      Compare(NewFolder("out"), {"--arms", "ring", "--fault", "worker:1@seconds=86400 kill"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("worker:1@seconds=86400 kill: its moment never came"));
}

TEST(FaultFlag, WhatCannotBeIsRefusedBeforeAnythingStarts) {
  const std::string out = NewFolder("out") + "/new";
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"worker:7@step=5 kill", "it has no worker/7"},
      {"server:0@step=5 kill", "it has no server/0"},
      {"worker:1@step=40 kill", "the run has steps 0 to 39"},
      {"worker:1@step=5 kick", "did you mean \"kill\""},
  };
  for (const auto& [fault, text] : mistakes) {
    const Finished finished = RunProgram(Compare(out, {"--arms", "ring", "--fault", fault}));
    EXPECT_EQ(finished.exit_code, 2) << fault;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("--fault '" + fault + "'"), HasSubstr(text)));
    EXPECT_EQ(finished.out, "");
  }
  const Finished gate = RunProgram(
      Compare(out, {"--arms", "ring", "--fault", "worker:1@step=5 kill", "--gate", "5"}));
  EXPECT_EQ(gate.exit_code, 2);
  EXPECT_THAT(gate.err, HasSubstr("--gate with --fault"));
  EXPECT_FALSE(std::ifstream(out + "/results.jsonl").good());
}

TEST(FaultFlag, APlanShowsTheFaultsAndRefusesThoseThatCannotBe) {
  const std::string out = NewFolder("out");
  const Finished plan = RunProgram(
      Compare(out, {"--arms", "single,ring", "--fault", "worker:1@step=20 stop 3s", "--plan"}));
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, AllOf(HasSubstr("# fault worker:1@step=20 stop 3s: in ring; not in single"),
                              HasSubstr("# these arms would run one after the other: --fault")));
  EXPECT_EQ(
      RunProgram(Compare(out, {"--arms", "ring", "--fault", "worker:2@step=2 kill", "--plan"}))
          .exit_code,
      2);
}

}  // namespace
}  // namespace ringmaster
