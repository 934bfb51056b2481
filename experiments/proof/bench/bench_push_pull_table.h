#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PUSH_PULL_TABLE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PUSH_PULL_TABLE_H_

#include <string>
#include <vector>

#include "experiments/proof/bench/bench_push_pull.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What a table says of one transport and size. Payload is what a worker pushes and what it pulls:
// twice the size. GB are 10^9 bytes.
struct PushPullFigures {
  double time_us = 0;  // median
  double time_us_min = 0;
  double time_us_p95 = 0;  // as BenchTimes (experiments/proof/bench/bench_times.h)
  double time_us_p99 = 0;
  double algorithm_gbps = 0;  // size / time, as of an all-reduce
  double worker_gbps = 0;     // payload of one worker / time
  double total_gbps = 0;      // payload of all workers / time
};
PushPullFigures FiguresOf(const PushPullTimes& times, int64_t size_bytes, int32_t workers);

// Three lines above the rows, and the rows of one size: one a transport. Of two transports the
// first one's row ends with the pairs' ratio and its interval. All end with a newline. Pure,
// thread-safe.
std::string PushPullTableHead(const PushPullBench& bench, const Machine& machine,
                              const std::string& commit);
std::string PushPullTableRows(const PushPullBench& bench, const PushPullResult& result);

// What the ratio's column means; empty unless there are two transports.
std::string PushPullTableNote(const PushPullBench& bench);

// All of it as one JSON object on one line, without a newline: "rows", one a size and transport,
// and "ratios", one a size where there are two transports. Pure, thread-safe.
std::string PushPullJson(const PushPullBench& bench, const std::vector<PushPullResult>& results,
                         const Machine& machine, const std::string& commit);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PUSH_PULL_TABLE_H_
