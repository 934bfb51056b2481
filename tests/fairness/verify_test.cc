// `ringmaster verify` judges what it is given: with runs as they should be everything passes, and
// whatever is wrong in any one of them fails the check that is about it and no other.

#include "experiments/proof/verify/verify.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/proof/verify/payload_formula.h"
#include "experiments/proof/verify/record_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kRightWeights[] = "0123456789abcdef";

// The record of a run in which everything is as claimed.
RunRecord RightRecord(const RunSpec& spec) {
  RunRecord record;
  *record.mutable_spec() = spec;
  record.set_status("ok");
  const auto layout = LayoutOf(spec);
  EXPECT_TRUE(layout.ok()) << layout.status();
  const int64_t steps = spec.training().steps();
  for (int32_t rank = 0; rank < TrainingWorkers(spec); ++rank) {
    WorkerReport* worker = record.add_reports()->add_workers();
    worker->set_rank(rank);
    worker->set_weights_sha256(kRightWeights);
    for (int64_t step = 0; step < steps; ++step) worker->add_step_loss(1);
    const int32_t logs = spec.strategy().has_single() ? spec.training().workers() : 1;
    for (int32_t i = 0; i < logs; ++i) worker->add_batch_log_fingerprints(1000 + rank + i);
    const auto payload = PayloadFormula(spec, *layout, rank, steps);
    EXPECT_TRUE(payload.ok()) << payload.status();
    worker->set_payload_bytes_up(payload->up);
    WireTraffic* const wire = worker->add_wires();
    wire->set_wire("tcp");
    wire->set_payload_bytes_up(payload->up);
    wire->set_payload_bytes_down(payload->down);
    worker->set_encoded_bytes_up(payload->up);
    worker->set_payload_bytes_down(payload->down);
    worker->set_index_bytes_up(payload->index_up);
    worker->set_encoded_bytes_up(payload->up);
    if (spec.training().report_weights())
      worker->mutable_weights()->Resize(static_cast<int>(layout->count()), 0.5f);
  }
  return record;
}

using Doctor = std::function<void(RunRecord*)>;

VerifyOptions RightOptions() {
  VerifyOptions options;
  options.check_consistency = [](uint64_t, int64_t) -> absl::StatusOr<std::string> {
    return std::string("as promised");
  };
  options.check_codecs = options.check_consistency;
  options.replay = [](const RunRecord& record) -> absl::StatusOr<std::vector<std::string>> {
    return std::vector<std::string>(static_cast<size_t>(record.reports_size()), kRightWeights);
  };
  return options;
}

VerifyOutcome VerifyWith(
    const Doctor& doctor, const std::function<bool()>& interrupted = [] { return false; },
    VerifyOptions options = RightOptions()) {
  options.data_dir = "/nonexistent";
  options.interrupted = interrupted;
  options.run = [&doctor](const RunSpec& spec) {
    RunRecord record = RightRecord(spec);
    doctor(&record);
    return record;
  };
  return Verify(options);
}

std::vector<std::string> Failures(const VerifyOutcome& outcome) {
  std::vector<std::string> failures;
  for (const CheckResult& check : outcome.checks) {
    if (!check.passed) failures.push_back(absl::StrCat(check.topic, ": ", check.what));
  }
  return failures;
}

// The doctor for the last worker of the run of that name, every time it runs.
Doctor LastWorkerOf(const std::string& name, const std::function<void(WorkerReport*)>& change) {
  return [name, change](RunRecord* record) {
    if (record->spec().name() == name) {
      change(record->mutable_reports(record->reports_size() - 1)->mutable_workers(0));
    }
  };
}

TEST(Verify, PassesRunsThatAreAsTheyShouldBeAndCoversEveryTopic) {
  const VerifyOutcome outcome = VerifyWith([](RunRecord*) {});
  EXPECT_THAT(Failures(outcome), IsEmpty());
  EXPECT_TRUE(outcome.passed());
  EXPECT_GT(outcome.runs, 40);
  std::set<std::string> topics;
  for (const CheckResult& check : outcome.checks) topics.insert(check.topic);
  for (const char* topic : {"trajectory", "data", "start", "bytes", "consistency", "codecs"})
    EXPECT_THAT(topics, Contains(topic));
  // Without MNIST it says so.
  EXPECT_FALSE(outcome.real_data);
  EXPECT_TRUE(absl::StartsWith(outcome.data, "synthetic, for there is no MNIST: ")) << outcome.data;
}

TEST(Verify, OtherWeightsInAnyRunFailTheTrajectoryOfItsGroup) {
  const auto other = [](WorkerReport* worker) { worker->set_weights_sha256("fedcba9876543210"); };
  const std::pair<const char*, const char*> cases[] = {
      {"direct N=2", "N=2: all schemes end"},
      {"reduce_broadcast N=8 bucket=1024 tcp", "N=8, exact sums"},
      {"ps 3 co-located N=4 bucket=3068 grpc", "N=4, exact sums"},
      {"dp 1 co-located N=3 bucket=1048576 inproc", "N=3, exact sums"},
      {"gossip N=3 weights", "N=3: workers that exchange weights end with one model"},
      {"ring N=3 onebit", "N=3: the ranks of an all-reduce with a codec"},
  };
  for (const auto& [name, what] : cases) {
    const VerifyOutcome outcome = VerifyWith(LastWorkerOf(name, other));
    const std::vector<std::string> failures = Failures(outcome);
    ASSERT_EQ(failures.size(), 1u) << name;
    EXPECT_TRUE(absl::StrContains(failures[0], absl::StrCat("trajectory: ", what))) << failures[0];
    EXPECT_FALSE(outcome.passed());
  }
}

TEST(Verify, UpdatesOnArrivalThatTheirLogDoesNotExplainFail) {
  const char* const what = "trajectory: N=3: updates on arrival, replayed";
  // Whose work is claimed, and whose is dealt.
  for (const char* run : {"async N=3 on arrival", "ssp N=3 on arrival"}) {
    const VerifyOutcome other = VerifyWith(
        LastWorkerOf(run, [](WorkerReport* worker) { worker->set_weights_sha256("fedcba98"); }));
    ASSERT_EQ(Failures(other).size(), 1u) << run;
    EXPECT_TRUE(absl::StartsWith(Failures(other)[0], what)) << Failures(other)[0];
  }
  VerifyOptions options = RightOptions();
  options.replay = [](const RunRecord&) -> absl::StatusOr<std::vector<std::string>> {
    return absl::FailedPreconditionError("server/0 stands still");
  };
  const VerifyOutcome none = VerifyWith([](RunRecord*) {}, [] { return false; }, options);
  ASSERT_EQ(Failures(none).size(), 1u);
  EXPECT_TRUE(absl::StartsWith(Failures(none)[0], what)) << Failures(none)[0];
  const VerifyOutcome twice = VerifyWith(LastWorkerOf(
      "async N=3 on arrival", [](WorkerReport* worker) { worker->set_batch_set_fingerprint(7); }));
  ASSERT_EQ(Failures(twice).size(), 1u);
  EXPECT_TRUE(absl::StartsWith(Failures(twice)[0], "data: N=3: who updates on arrival"));
}

TEST(Verify, ARunThatDoesNotRepeatFails) {
  for (const char* name : {"ring N=2", "ring N=4 rounded"}) {
    int times = 0;
    const VerifyOutcome outcome = VerifyWith([&](RunRecord* record) {
      if (record->spec().name() != name || ++times == 1) return;
      for (ProcessReport& process : *record->mutable_reports()) {
        process.mutable_workers(0)->set_weights_sha256("fedcba9876543210");
      }
    });
    const std::vector<std::string> failures = Failures(outcome);
    ASSERT_EQ(failures.size(), 1u) << name;
    EXPECT_TRUE(absl::StrContains(failures[0], "a repeated ring run")) << failures[0];
    EXPECT_EQ(times, 2);
  }
}

TEST(Verify, WeightsFurtherApartThanRoundingFail) {
  const auto by = [](float distance) {
    return VerifyWith(LastWorkerOf("ps N=8 rounded", [distance](WorkerReport* worker) {
      for (float& weight : *worker->mutable_weights()) weight *= 1 + distance;
    }));
  };
  EXPECT_TRUE(by(0.9f * static_cast<float>(OrderBound(8, 20))).passed());
  EXPECT_THAT(Failures(by(1.1f * static_cast<float>(OrderBound(8, 20)))),
              ElementsAre("trajectory: N=8, ordinary sums: within the bound of their rounding"));
}

TEST(Verify, OtherBatchesFail) {
  const auto doctor = LastWorkerOf(
      "ps-sharded N=2", [](WorkerReport* worker) { worker->set_batch_log_fingerprints(0, 5); });
  EXPECT_THAT(Failures(VerifyWith(doctor)),
              ElementsAre("data: N=2: all schemes see the same batches"));
}

TEST(Verify, AByteInAnyRunFails) {
  for (const char* name :
       {"dp N=2", "ring N=3 topk", "direct N=4 rounded", "ring N=8 bucket=1048576 grpc"}) {
    const auto doctor = LastWorkerOf(name, [](WorkerReport* worker) {
      worker->set_payload_bytes_up(worker->payload_bytes_up() + 1);
    });
    EXPECT_THAT(Failures(VerifyWith(doctor)),
                ElementsAre("bytes: metered payload of every run above equals the formula"))
        << name;
  }
}

TEST(Verify, AByteThatNoWireCarriedFails) {
  const auto doctor = LastWorkerOf("ring N=3 topk", [](WorkerReport* worker) {
    worker->mutable_wires(0)->set_payload_bytes_down(worker->payload_bytes_down() - 1);
  });
  EXPECT_THAT(Failures(VerifyWith(doctor)),
              ElementsAre("bytes: metered payload of every run above equals the formula"));
}

TEST(Verify, AServerOrACodecThatBreaksItsPromiseFails) {
  const auto broken = [](uint64_t seed, int64_t effort) -> absl::StatusOr<std::string> {
    EXPECT_EQ(seed, 1u);
    EXPECT_GT(effort, 1000);
    return absl::FailedPreconditionError("a push was applied twice");
  };
  for (const char* topic : {"consistency", "codecs"}) {
    VerifyOptions options = RightOptions();
    (std::string(topic) == "codecs" ? options.check_codecs : options.check_consistency) = broken;
    const VerifyOutcome outcome = VerifyWith([](RunRecord*) {}, [] { return false; }, options);
    ASSERT_EQ(Failures(outcome).size(), 1u);
    EXPECT_TRUE(absl::StartsWith(Failures(outcome)[0], topic)) << Failures(outcome)[0];
    EXPECT_FALSE(outcome.passed());
  }
}

TEST(Verify, ARunThatFailsIsNoProof) {
  const VerifyOutcome outcome = VerifyWith([](RunRecord* record) {
    if (record->spec().name() == "ps N=2") record->set_status("UNAVAILABLE: server/0 is gone");
  });
  EXPECT_FALSE(outcome.passed());
  EXPECT_THAT(outcome.checks.front().figure,
              testing::HasSubstr("run \"ps N=2\" failed: UNAVAILABLE"));
}

TEST(Verify, StopsWhenAskedAndHasThenNotPassedWhatItDidNotCheck) {
  int runs = 0;
  const VerifyOutcome outcome = VerifyWith([&](RunRecord*) { ++runs; }, [&] { return runs >= 3; });
  EXPECT_EQ(runs, 3);
  EXPECT_THAT(outcome.checks, IsEmpty());
  EXPECT_FALSE(outcome.passed());
}

}  // namespace
}  // namespace ringmaster
