#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TABLE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TABLE_H_

#include <string>
#include <vector>

#include "experiments/proof/bench/bench_all_reduce.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What a table says of one contender and size, as nccl-tests define it. GB are 10^9 bytes.
struct AllReduceFigures {
  double time_us = 0;  // median
  double time_us_min = 0;
  double time_us_p95 = 0;  // 95 % of the iterations took at most that (nearest rank)
  double time_us_p99 = 0;
  double algorithm_gbps = 0;  // size / time
  double bus_gbps = 0;  // that times 2 (N-1) / N: what a link carries in the best of collectives
};
AllReduceFigures FiguresOf(const ContenderTimes& times, int64_t size_bytes, int32_t ranks);

// Three lines above the rows, and the rows of one size: one a contender. All but the first one's
// end with the ratio of their times to the first one's, pair by pair, and its interval; that of the
// fastest engine beside ours says so. All end with a newline. Pure, thread-safe.
std::string AllReduceTableHead(const AllReduceBench& bench, const Machine& machine,
                               const std::string& commit);
std::string AllReduceTableRows(const AllReduceBench& bench, const AllReduceResult& result);

// What the ratio's column means; empty where there is only one contender.
std::string AllReduceTableNote(const AllReduceBench& bench);

// All of it as one JSON object on one line, without a newline: "rows", one a size and contender,
// and "ratios", of every engine beside ours over each of our contenders, or else of every contender
// over the first. Pure, thread-safe.
std::string AllReduceJson(const AllReduceBench& bench, const std::vector<AllReduceResult>& results,
                          const Machine& machine, const std::string& commit);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TABLE_H_
