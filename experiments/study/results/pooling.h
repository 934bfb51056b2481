#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_POOLING_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_POOLING_H_

#include <cstdint>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

// What several nodes measured, put together. Pure, thread-safe.

// The timed steps of some workers, milliseconds, ascending.
std::vector<float> SortedStepMs(const std::vector<const WorkerReport*>& workers);

// The quantile `q`, 0 to 1, of ascending values, at least one: linear between the two around its
// place.
double Quantile(const std::vector<float>& sorted, double q);

// Staleness over all contributions to some servers; without contributions all 0.
struct PooledStaleness {
  double contributions = 0;
  double mean = 0;
  int64_t largest = 0;
};
PooledStaleness PoolStaleness(const std::vector<const ServerReport*>& servers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_POOLING_H_
