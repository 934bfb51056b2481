#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_POOLING_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_POOLING_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

// What several nodes measured, put together. Pure, thread-safe.

// The timed steps of some workers, milliseconds, ascending.
std::vector<float> SortedStepMs(const std::vector<const WorkerReport*>& workers);

// The quantile `q`, 0 to 1, of ascending values, at least one: linear between the two around its
// place.
double Quantile(const std::vector<float>& sorted, double q);

// The median and the 95th percentile of the timed steps of some workers. Workers differ where their
// medians lie further apart than the steps of one worker do (their interquartile range, at least
// 5 % of the smallest median); then percentiles of all steps together are no worker's, and these
// are those of the worker with the (lower) middle median.
struct StepTimes {
  double p50_ms = 0;
  double p95_ms = 0;
  bool ranks_differ = false;
  double fastest_rank_ms = 0;  // the smallest of the workers' medians
  double slowest_rank_ms = 0;
};
// Empty when no worker has a timed step.
std::optional<StepTimes> StepTimesOf(const std::vector<const WorkerReport*>& workers);

// Staleness over all contributions to some servers; without contributions all 0.
struct PooledStaleness {
  double contributions = 0;
  double mean = 0;
  int64_t largest = 0;
};
PooledStaleness PoolStaleness(const std::vector<const ServerReport*>& servers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_POOLING_H_
