#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TIMES_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TIMES_H_

#include <vector>

namespace ringmaster {

// What a table of a benchmark says of the times of its samples, in their unit.
struct BenchTimes {
  double median = 0;
  double least = 0;
  double p95 = 0;  // 95 % of the samples took at most that (nearest rank)
  double p99 = 0;
};

// REQUIRES: at least one time. Pure, thread-safe.
BenchTimes TimesOf(std::vector<double> times);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TIMES_H_
