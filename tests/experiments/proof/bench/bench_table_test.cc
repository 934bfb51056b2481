#include "experiments/proof/bench/bench_table.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "experiments/proof/bench/bench_all_reduce.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AllReduceBench TwoTransports() {
  AllReduceBench bench;
  bench.transports = {"shm", "tcp"};
  bench.sizes = {1 << 20};
  return bench;
}

AllReduceResult ResultOf(const AllReduceBench& bench) {
  AllReduceResult result;
  result.size_bytes = 1 << 20;
  result.burst = 4;
  double factor = 1;
  for (const BenchContender& contender : ContendersOf(bench)) {
    result.contenders.push_back({contender,
                                 contender.transport,
                                 contender.collective,
                                 {100 * factor, 300 * factor, 200 * factor}});
    factor *= 2.5;
  }
  return result;
}

TEST(BenchTable, BandwidthsAreThoseOfNcclTests) {
  const ContenderTimes times{{"tcp", "ring"}, "tcp", "ring", {400, 1000, 500}};
  const AllReduceFigures figures = FiguresOf(times, 1000000, 4);
  EXPECT_DOUBLE_EQ(figures.time_us, 500);
  EXPECT_DOUBLE_EQ(figures.time_us_min, 400);
  EXPECT_DOUBLE_EQ(figures.time_us_p95, 1000);
  EXPECT_DOUBLE_EQ(figures.algorithm_gbps, 2);  // 10^6 bytes in 500 us
  EXPECT_DOUBLE_EQ(figures.bus_gbps, 3);        // times 2 * 3 / 4
}

TEST(BenchTable, PercentilesAreTheNearestRank) {
  std::vector<double> times;
  for (int i = 200; i > 0; --i) times.push_back(i);
  const AllReduceFigures figures = FiguresOf({{"tcp", "ring"}, "tcp", "ring", times}, 1000, 2);
  EXPECT_DOUBLE_EQ(figures.time_us_p95, 190);
  EXPECT_DOUBLE_EQ(figures.time_us_p99, 198);
}

TEST(BenchTable, TheSocketsLimitIsNoPeerAndIsNotChecked) {
  AllReduceBench bench = TwoTransports();
  bench.transports = {"tcp"};
  bench.engines = {kOwnEngine, kSocketLimit, "gloo"};
  const AllReduceResult result = ResultOf(bench);
  const std::vector<std::string> rows =
      absl::StrSplit(AllReduceTableRows(bench, result), '\n', absl::SkipEmpty());
  ASSERT_EQ(rows.size(), 3);
  EXPECT_THAT(rows[1], HasSubstr("limit, sums nothing"));
  EXPECT_THAT(rows[1], Not(HasSubstr("ok")));
  EXPECT_THAT(rows[1], Not(HasSubstr("best peer")));
  EXPECT_THAT(rows[2], HasSubstr("best peer"));
  const auto object = nlohmann::json::parse(AllReduceJson(bench, {result}, Machine(), "commit"));
  EXPECT_EQ(object["rows"][1]["check"], "none");
  EXPECT_EQ(object["ratios"][0]["best_peer"], false);
  EXPECT_EQ(object["ratios"][1]["best_peer"], true);
}

TEST(BenchTable, SaysHowWarmTheBuffersAreAndWhatCripplesAPeer) {
  AllReduceBench bench = TwoTransports();
  EXPECT_THAT(AllReduceTableHead(bench, Machine(), "c"), HasSubstr("buffers: warm,"));
  bench.buffers = {"cold", true};
  EXPECT_THAT(AllReduceTableHead(bench, Machine(), "c"),
              HasSubstr("buffers: cold, 4 bytes off a cache line,"));
  bench.transports = {"shm"};
  bench.engines = {kOwnEngine, "mpi"};
  AllReduceResult result = ResultOf(bench);
  EXPECT_THAT(AllReduceTableRows(bench, result), Not(HasSubstr("crippled")));
  result.contenders[1].handicap = "no single copy";
  EXPECT_THAT(AllReduceTableRows(bench, result), HasSubstr("best peer  crippled: no single copy"));
  EXPECT_THAT(AllReduceJson(bench, {result}, Machine(), "c"),
              HasSubstr("\"handicap\":\"no single copy\""));
}

TEST(BenchTable, EveryContenderHasARowAndAllButTheFirstItsRatioToIt) {
  AllReduceBench bench = TwoTransports();
  bench.transports.push_back("grpc");
  const std::vector<std::string> rows =
      absl::StrSplit(AllReduceTableRows(bench, ResultOf(bench)), '\n');
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_THAT(rows[0],
              HasSubstr("1048576      262144  float32      4  ringmaster  shm         ring"));
  EXPECT_THAT(rows[0], Not(HasSubstr(" to ")));
  EXPECT_THAT(rows[1], HasSubstr("tcp"));
  EXPECT_THAT(rows[1], HasSubstr("500.0       250.0       750.0       750.0"));
  EXPECT_THAT(rows[1], HasSubstr("ok   2.50  2.50 to 2.50"));
  EXPECT_THAT(rows[2], HasSubstr("ok   6.25  6.25 to 6.25"));
  EXPECT_THAT(AllReduceTableNote(bench), HasSubstr("time of the row over time of shm ring"));
}

TEST(BenchTable, OfEnginesBesideOursTheFastestIsMarkedAndNamesItsAlgorithm) {
  AllReduceBench bench = TwoTransports();
  bench.transports = {"tcp"};
  bench.engines = {kOwnEngine, "mpi", "gloo"};
  AllReduceResult result = ResultOf(bench);
  result.contenders[1].transport_ran = "self,tcp";
  result.contenders[1].collective_ran = "rabenseifner";
  result.contenders[2].times_us = {150, 300, 200};
  const std::vector<std::string> rows = absl::StrSplit(AllReduceTableRows(bench, result), '\n');
  EXPECT_THAT(rows[1], HasSubstr("mpi         self,tcp    rabenseifner "));
  EXPECT_THAT(rows[1], Not(HasSubstr("best peer")));
  EXPECT_THAT(rows[2], HasSubstr("ok   1.00  1.00 to 1.50  best peer"));
}

TEST(BenchTable, ThereIsNoRatioOfOne) {
  AllReduceBench bench = TwoTransports();
  bench.transports = {"tcp"};
  EXPECT_THAT(AllReduceTableHead(bench, Machine(), "abc"), Not(HasSubstr("ratio")));
  EXPECT_EQ(AllReduceTableNote(bench), "");
  EXPECT_THAT(AllReduceTableRows(bench, ResultOf(bench)), Not(HasSubstr(" to ")));
}

TEST(BenchTable, ColumnsStandUnderTheirHeads) {
  const AllReduceBench bench = TwoTransports();
  const std::vector<std::string> head =
      absl::StrSplit(AllReduceTableHead(bench, Machine(), "abc"), '\n');
  const std::vector<std::string> rows =
      absl::StrSplit(AllReduceTableRows(bench, ResultOf(bench)), '\n');
  for (const char* name :
       {"size", "count", "calls", "time", "least", "algbw", "busbw", "check", "ratio"}) {
    const size_t end = head[1].find(name) + std::string(name).size();
    EXPECT_NE(rows[1][end - 1], ' ') << name;
    EXPECT_EQ(rows[1][end], ' ') << name;
  }
}

TEST(BenchTable, WhatAutoStoodForIsSaid) {
  AllReduceBench bench = TwoTransports();
  AllReduceResult result = ResultOf(bench);
  result.contenders[0].contender.collective = "auto";
  result.contenders[0].collective_ran = "direct";
  EXPECT_THAT(AllReduceTableRows(bench, result), HasSubstr("auto: direct "));
}

TEST(BenchTable, JsonHasARowAContenderAndTheRatioOfTwo) {
  const AllReduceBench bench = TwoTransports();
  const auto json =
      nlohmann::json::parse(AllReduceJson(bench, {ResultOf(bench)}, Machine(), "abc"));
  ASSERT_EQ(json["rows"].size(), 2u);
  EXPECT_EQ(json["rows"][1]["transport"], "tcp");
  EXPECT_EQ(json["rows"][1]["time_us"], 500);
  EXPECT_EQ(json["rows"][1]["iterations"], 3);
  EXPECT_EQ(json["rows"][1]["burst"], 4);
  ASSERT_EQ(json["ratios"].size(), 1u);
  EXPECT_EQ(json["ratios"][0]["theirs_over_ours"], 2.5);
  EXPECT_EQ(json["ratios"][0]["ours"], "shm ring");
}

TEST(AllReduceBench, ABurstReducesAboutFourMebibytesUnlessItIsGiven) {
  EXPECT_EQ(BurstOf(0, 4096), 16);
  EXPECT_EQ(BurstOf(0, 1 << 20), 4);
  EXPECT_EQ(BurstOf(0, 64 << 20), 1);
  EXPECT_EQ(BurstOf(3, 64 << 20), 3);
}

TEST(AllReduceBench, NamesThatAreUnknownOrTwiceAreRefusedWithTheKnownOnes) {
  const auto error = [](const AllReduceBench& bench) {
    return std::string(CheckAllReduceBench(bench, 0).message());
  };
  AllReduceBench bench = TwoTransports();
  EXPECT_EQ(error(bench), "");
  bench.transports = {"tcp", "tcp"};
  EXPECT_THAT(error(bench), HasSubstr("--transport names \"tcp\" twice"));
  bench.transports = {"pigeon"};
  EXPECT_THAT(error(bench), HasSubstr("--transport \"pigeon\" is unknown; known are auto, grpc"));
  bench.transports = {"inproc"};
  EXPECT_THAT(error(bench), HasSubstr("does not leave its process"));
  bench.transports = {"tcp"};
  bench.collectives = {"rings"};
  EXPECT_THAT(error(bench), HasSubstr("--collective \"rings\" is unknown"));
}

TEST(BenchTable, JsonHasTheRatioOfEveryEngineOverEachOfOurs) {
  AllReduceBench bench = TwoTransports();
  bench.transports = {"tcp"};
  bench.collectives = {"ring", "direct"};
  bench.engines = {kOwnEngine, "gloo"};
  AllReduceResult result = ResultOf(bench);
  result.contenders[2].calibration = {{"ring", 12.5}, {"bcube", 13}};
  const auto json = nlohmann::json::parse(AllReduceJson(bench, {result}, Machine(), "abc"));
  ASSERT_EQ(json["ratios"].size(), 2u);
  EXPECT_EQ(json["ratios"][1]["ours"], "tcp direct");
  EXPECT_EQ(json["ratios"][1]["theirs"], "gloo");
  EXPECT_EQ(json["ratios"][1]["best_peer"], true);
  EXPECT_EQ(json["rows"][2]["calibration_us"]["bcube"], 13);
}

TEST(AllReduceBench, OurOwnContendersComeFirstAndOtherEnginesOnce) {
  AllReduceBench bench = TwoTransports();
  bench.engines = {"gloo", kOwnEngine};
  const std::vector<BenchContender> contenders = ContendersOf(bench);
  ASSERT_EQ(contenders.size(), 3u);
  EXPECT_EQ(contenders[1].transport, "tcp");
  EXPECT_EQ(contenders[2].engine, "gloo");
  EXPECT_EQ(MpiLauncherOf(bench), "");
  bench.engines = {"mpi"};
  EXPECT_EQ(ContendersOf(bench).size(), 1u);
  EXPECT_EQ(MpiLauncherOf(bench), "mpirun");
  bench.engines = {"mpich"};
  EXPECT_EQ(MpiLauncherOf(bench), "mpiexec.hydra");
}

TEST(AllReduceBench, AnEngineThatThereIsNotIsRefused) {
  AllReduceBench bench = TwoTransports();
  bench.engines = {kOwnEngine, "mpl"};
  EXPECT_THAT(
      std::string(CheckAllReduceBench(bench, 0).message()),
      HasSubstr("\"mpl\" is unknown; did you mean \"mpi\"? known are ringmaster, mpi, mpich, "
                "gloo, nccl, cuda_ipc, sockets, sockets_in_rounds"));
}

TEST(AllReduceBench, WorkersAndMemoryHaveTheirLimits) {
  AllReduceBench bench = TwoTransports();
  bench.workers = 1;
  EXPECT_TRUE(absl::IsInvalidArgument(CheckAllReduceBench(bench, 0)));
  bench.workers = 65;
  EXPECT_TRUE(absl::IsInvalidArgument(CheckAllReduceBench(bench, 0)));
  bench.workers = 2;
  // Two workers on two transports with bursts of 4 MiB: 16 MiB.
  EXPECT_TRUE(CheckAllReduceBench(bench, 32 << 20).ok());
  EXPECT_THAT(std::string(CheckAllReduceBench(bench, 31 << 20).message()),
              HasSubstr("need 16 MiB, more than half"));
}

}  // namespace
}  // namespace ringmaster
