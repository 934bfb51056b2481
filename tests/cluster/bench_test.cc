// `ringmaster bench` with real processes.

#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/engine/engines.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

TEST(Bench, TwoProcessesSumOverTcpAndEverySizeIsReported) {
  const Finished bench =
      RunProgram({"bench", "allreduce", "--workers", "2", "--transport", "tcp", "--collective",
                  "ring,auto", "--sizes", "4KiB,1000004", "--iterations", "7", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto json = nlohmann::json::parse(bench.out);
  EXPECT_EQ(json["workers"], 2);
  ASSERT_EQ(json["rows"].size(), 4u) << bench.out;
  for (size_t i = 0; i < 4; ++i) {
    const auto& row = json["rows"][i];
    const double bytes = i < 2 ? 4096 : 1000004;
    EXPECT_EQ(row["size_bytes"], bytes);
    EXPECT_EQ(row["count"], bytes / 4);
    EXPECT_EQ(row["collective"], i % 2 == 0 ? "ring" : "auto");
    EXPECT_NE(row["collective_ran"], "auto");
    EXPECT_EQ(row["iterations"], 7);
    EXPECT_EQ(row["check"], "ok");
    EXPECT_GT(row["time_us_min"], 0);
    EXPECT_LE(row["time_us_min"], row["time_us"]);
    // At two ranks each link carries the size once.
    EXPECT_NEAR(row["busbw_gbps"], bytes / row["time_us"].get<double>() / 1e3, 1e-9);
    EXPECT_EQ(row["busbw_gbps"], row["algbw_gbps"]);
  }
  ASSERT_EQ(json["ratios"].size(), 2u);
  EXPECT_GT(json["ratios"][0]["low"], 0);
  EXPECT_LE(json["ratios"][0]["low"], json["ratios"][0]["theirs_over_ours"]);
  EXPECT_GE(json["ratios"][0]["high"], json["ratios"][0]["theirs_over_ours"]);
}

TEST(Bench, SumsOfColdAndUnalignedBuffersAreRightTooAndTheTimesAreInOrder) {
  const Finished bench =
      RunProgram({"bench", "allreduce", "--transport", "shm", "--buffers", "cold", "--unaligned",
                  "--sizes", "4KiB,1000004", "--iterations", "7", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto json = nlohmann::json::parse(bench.out);
  EXPECT_EQ(json["buffers"], "cold");
  EXPECT_EQ(json["unaligned"], true);
  ASSERT_EQ(json["rows"].size(), 2u) << bench.out;
  for (const auto& row : json["rows"]) {
    EXPECT_EQ(row["check"], "ok");
    EXPECT_LE(row["time_us"], row["time_us_p95"]);
    EXPECT_LE(row["time_us_p95"], row["time_us_p99"]);
  }
}

TEST(Bench, ColdAndUnalignedGradientsAreAddedUpByServersToo) {
  const Finished bench =
      RunProgram({"bench", "pushpull", "--transport", "shm", "--buffers", "cold", "--unaligned",
                  "--sizes", "1000004", "--bucket", "256KiB", "--iterations", "7", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto json = nlohmann::json::parse(bench.out);
  EXPECT_EQ(json["buffers"], "cold");
  EXPECT_EQ(json["unaligned"], true);
  ASSERT_EQ(json["rows"].size(), 1u) << bench.out;
  EXPECT_EQ(json["rows"][0]["check"], "ok");
  EXPECT_LE(json["rows"][0]["time_us"], json["rows"][0]["time_us_p95"]);
}

TEST(Bench, StartTellsTimeAndMemoryOfEveryRole) {
  const Finished bench = RunProgram({"bench", "start", "--workers", "3", "--strategy", "ring,ps",
                                     "--transport", "shm", "--emulate", "1", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto json = nlohmann::json::parse(bench.out);
  EXPECT_EQ(json["workers"], 3);
  ASSERT_EQ(json["rows"].size(), 2u) << bench.out;
  for (const auto& row : json["rows"]) {
    EXPECT_GT(row["join_seconds"], 0);
    EXPECT_GT(row["join_cpu_seconds"], 0);
    EXPECT_EQ(row["workers"]["processes"], 3);
    EXPECT_GT(row["workers"]["memory_mib"], 1);
    EXPECT_LE(row["workers"]["memory_mib"], row["workers"]["memory_mib_max"]);
    EXPECT_LT(row["workers"]["memory_mib_max"], row["workers"]["address_mib_max"]);
    EXPECT_LT(row["workers"]["largest_mapping_mib"], row["workers"]["address_mib_max"]);
    EXPECT_EQ(row.contains("servers"), row["arm"] == "ps");
  }
  EXPECT_EQ(json["rows"][1]["servers"]["processes"], 1);
  const Finished table = RunProgram({"bench", "start", "--workers", "2", "--emulate", "1"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out,
              HasSubstr("start of 2 workers, mlp on synthetic, transport grpc, compute emulated"));
}

TEST(Bench, WorkersPushToServersOfTheirOwnAndBesideThemAndPullWhatTheyAddUp) {
  for (const char* placement : {"dedicated", "colocated"}) {
    const Finished bench =
        RunProgram({"bench", "pushpull", "--workers", "2", "--servers", "2", "--placement",
                    placement, "--transport", "tcp,shm", "--sizes", "64KiB,1000004", "--bucket",
                    "256KiB", "--iterations", "7", "--json"});
    ASSERT_EQ(bench.exit_code, 0) << bench.err;
    const auto json = nlohmann::json::parse(bench.out);
    EXPECT_EQ(json["placement"], placement);
    ASSERT_EQ(json["rows"].size(), 4u) << bench.out;
    for (size_t i = 0; i < 4; ++i) {
      const auto& row = json["rows"][i];
      const double bytes = i < 2 ? 65536 : 1000004;
      EXPECT_EQ(row["size_bytes"], bytes);
      EXPECT_EQ(row["buckets"], i < 2 ? 1 : 4);
      EXPECT_EQ(row["transport_ran"], i % 2 == 0 ? "tcp" : "shm");
      EXPECT_EQ(row["iterations"], 7);
      EXPECT_EQ(row["check"], "ok");
      EXPECT_NEAR(row["total_payload_gbps"], 4 * bytes / row["time_us"].get<double>() / 1e3, 1e-9);
    }
    EXPECT_EQ(json["ratios"].size(), 2u);
  }
}

// Why this build lacks an engine; empty where it has it.
std::string Missing(const char* engine) { return std::string(CheckEngine(engine).message()); }

TEST(Bench, OpenMpiAndGlooSumInTheSameProcessesEachWithItsBestAlgorithm) {
  if (!Missing("mpi").empty()) GTEST_SKIP() << Missing("mpi");
  if (!Missing("gloo").empty()) GTEST_SKIP() << Missing("gloo");
  const Finished bench = RunProgram({"bench", "allreduce", "--against", "mpi,gloo", "--workers",
                                     "3", "--transport", "tcp", "--sizes", "4KiB,1000004",
                                     "--burst", "1,2", "--iterations", "4", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const auto json = nlohmann::json::parse(bench.out);
  ASSERT_EQ(json["rows"].size(), 12u) << bench.out;  // 2 sizes, 2 bursts, 3 engines
  for (size_t i = 0; i < 12; i += 3) {
    EXPECT_EQ(json["rows"][i]["engine"], "ringmaster");
    const auto& mpi = json["rows"][i + 1];
    EXPECT_EQ(mpi["engine"], "mpi");
    EXPECT_EQ(mpi["transport_ran"], "self,tcp");
    EXPECT_EQ(mpi["calibration_us"].size(), 7u) << "the algorithms of Open MPI cannot be chosen";
    const auto& gloo = json["rows"][i + 2];
    EXPECT_EQ(gloo["engine"], "gloo");
    EXPECT_EQ(gloo["calibration_us"].size(), 5u);
    for (const auto& peer : {mpi, gloo}) {
      double least = 1e99;
      for (const auto& [algorithm, time_us] : peer["calibration_us"].items())
        least = std::min<double>(least, time_us);
      EXPECT_EQ(peer["calibration_us"][peer["collective_ran"].get<std::string>()], least);
      EXPECT_EQ(peer["check"], "ok");
    }
  }
  ASSERT_EQ(json["ratios"].size(), 8u);
  EXPECT_NE(json["ratios"][0]["best_peer"], json["ratios"][1]["best_peer"]);
}

TEST(Bench, MpiBesideTwoTransportsIsRefused) {
  if (!Missing("mpi").empty()) GTEST_SKIP() << Missing("mpi");
  const Finished bench =
      RunProgram({"bench", "allreduce", "--against", "mpi", "--transport", "tcp,shm"});
  EXPECT_EQ(bench.exit_code, 2);
  EXPECT_THAT(bench.err, HasSubstr("name one transport"));
}

TEST(Bench, ARankUnderMpirunThatDiesEndsTheBenchmarkAndLeavesNobodyBehind) {
  if (!Missing("mpi").empty()) GTEST_SKIP() << Missing("mpi");
  Program bench(
      {"bench", "allreduce", "--engine", "mpi", "--sizes", "1MiB", "--iterations", "1000000"});
  const MonotonicTime deadline = MonotonicNow() + Patience(60);
  std::vector<pid_t> mpirun;
  std::vector<pid_t> ranks;
  while (ranks.size() < 2 && MonotonicNow() < deadline) {
    mpirun = ChildrenOf(bench.pid());
    if (!mpirun.empty()) ranks = ChildrenOf(mpirun[0]);
  }
  ASSERT_EQ(ranks.size(), 2u);
  kill(ranks[1], SIGKILL);
  const Finished finished = bench.Wait(Patience(60));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, testing::AnyOf(HasSubstr("worker/"), HasSubstr("mpirun")));
  for (const pid_t rank : ranks) {
    while (kill(rank, 0) == 0 && MonotonicNow() < deadline) {
    }
    EXPECT_NE(kill(rank, 0), 0) << "process " << rank << " is still there";
  }
}

TEST(Bench, AMistakeInTheFlagsStartsNothing) {
  const Finished bench = RunProgram({"bench", "allreduce", "--sizes", "4KiB:1MiB,4098"});
  EXPECT_EQ(bench.exit_code, 2);
  EXPECT_EQ(bench.out, "");
  EXPECT_THAT(bench.err, HasSubstr("expected a multiple of 4"));
}

TEST(Bench, ARankThatDiesEndsTheBenchmarkAndIsNamed) {
  Program bench({"bench", "allreduce", "--sizes", "1MiB", "--iterations", "1000000"});
  const MonotonicTime deadline = MonotonicNow() + Patience(60);
  std::vector<pid_t> ranks;
  while (ranks.empty() && MonotonicNow() < deadline) ranks = ChildrenOf(bench.pid());
  ASSERT_EQ(ranks.size(), 1u);
  kill(ranks[0], SIGKILL);
  const Finished finished = bench.Wait(Patience(60));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("worker/1"));
}

}  // namespace
}  // namespace ringmaster
