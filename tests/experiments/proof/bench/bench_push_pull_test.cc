#include "experiments/proof/bench/bench_push_pull.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "experiments/proof/bench/bench_push_pull_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

PushPullBench TwoTransports() {
  PushPullBench bench;
  bench.transports = {"shm", "tcp"};
  bench.sizes = {1 << 20};
  return bench;
}

PushPullResult ResultOf() {
  PushPullResult result;
  result.size_bytes = 1 << 20;
  result.buckets = 2;
  result.transports = {{"shm", "shm", {100, 300, 200}}, {"auto", "tcp", {250, 750, 500}}};
  return result;
}

void ExpectRefused(const PushPullBench& bench, const std::string& text) {
  const absl::Status status = CheckPushPullBench(bench, 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST(PushPullBench, PayloadIsWhatAWorkerPushesAndPullsAndAllIsEveryWorkers) {
  const PushPullFigures figures = FiguresOf({"tcp", "tcp", {400, 1000, 500}}, 1000000, 3);
  EXPECT_DOUBLE_EQ(figures.time_us, 500);
  EXPECT_DOUBLE_EQ(figures.time_us_min, 400);
  EXPECT_DOUBLE_EQ(figures.time_us_p95, 1000);
  EXPECT_DOUBLE_EQ(figures.time_us_p99, 1000);
  EXPECT_DOUBLE_EQ(figures.algorithm_gbps, 2);  // 10^6 bytes in 500 us
  EXPECT_DOUBLE_EQ(figures.worker_gbps, 4);
  EXPECT_DOUBLE_EQ(figures.total_gbps, 12);
}

TEST(PushPullBench, EveryTransportHasARowAndTheFirstOfTwoTheRatio) {
  const PushPullBench bench = TwoTransports();
  const std::vector<std::string> rows = absl::StrSplit(PushPullTableRows(bench, ResultOf()), '\n');
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_THAT(rows[0], HasSubstr("1048576      262144  float32        2  shm"));
  EXPECT_THAT(rows[0], HasSubstr("ok   2.50  2.50 to 2.50"));
  EXPECT_THAT(rows[1], HasSubstr("auto: tcp"));
  EXPECT_THAT(PushPullTableNote(bench), HasSubstr("time of tcp over time of shm"));
  EXPECT_EQ(PushPullTableNote(PushPullBench()), "");
  const auto json = nlohmann::json::parse(PushPullJson(bench, {ResultOf()}, Machine(), "abc"));
  EXPECT_EQ(json["rows"].size(), 2u);
  EXPECT_EQ(json["rows"][1]["transport_ran"], "tcp");
  EXPECT_DOUBLE_EQ(json["rows"][0]["worker_payload_gbps"], 2 * (1 << 20) / 200e3);
  EXPECT_DOUBLE_EQ(json["ratios"][0]["theirs_over_ours"], 2.5);
}

TEST(PushPullBench, WhatMakesNoSenseIsRefusedByName) {
  EXPECT_TRUE(CheckPushPullBench(TwoTransports(), 0).ok());
  PushPullBench bench = TwoTransports();
  bench.workers = 0;
  ExpectRefused(bench, "--workers 0: expected 1 to");
  bench = TwoTransports();
  bench.servers = 3;
  EXPECT_TRUE(CheckPushPullBench(bench, 0).ok());
  bench.colocated = true;
  ExpectRefused(bench, "--servers 3: expected 1 to 2, one beside each worker");
  bench = TwoTransports();
  bench.transports = {"tcp", "inproc"};
  ExpectRefused(bench, "does not leave its process");
  bench.transports = {"tcp", "tcp"};
  ExpectRefused(bench, "twice");
  bench = TwoTransports();
  bench.bucket_bytes = 64;
  ExpectRefused(bench, "more than 4096 buckets");
  bench = TwoTransports();
  // Of two workers two gradients and two copies of the weights each, of the servers weights, sum
  // and two pushes, twice.
  const int64_t needed = 2 * 12 * (int64_t{1} << 20);
  EXPECT_TRUE(CheckPushPullBench(bench, 2 * needed).ok());
  EXPECT_EQ(CheckPushPullBench(bench, 2 * needed - 2).code(), absl::StatusCode::kInvalidArgument);
}

TEST(PushPullBench, ServersLiveBehindTheWorkersOrBesideThem) {
  PushPullBench bench;
  EXPECT_EQ(PushPullNodes(bench).size(), 4u);
  EXPECT_EQ(PushPullNodes(bench)[3], (std::vector<NodeId>{{Role::kServer, 1}}));
  bench.colocated = true;
  EXPECT_EQ(PushPullNodes(bench).size(), 2u);
  EXPECT_EQ(PushPullNodes(bench)[1], (std::vector<NodeId>{{Role::kWorker, 1}, {Role::kServer, 1}}));
}

}  // namespace
}  // namespace ringmaster
