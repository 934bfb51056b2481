#include "experiments/proof/bench/bench_times.h"

#include <algorithm>
#include <cstddef>

#include "common/base/check.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

// The smallest value that so many percent do not exceed.
double Percentile(const std::vector<double>& ascending, size_t percent) {
  return ascending[(ascending.size() * percent + 99) / 100 - 1];
}

}  // namespace

BenchTimes TimesOf(std::vector<double> times) {
  RM_CHECK(!times.empty());
  std::sort(times.begin(), times.end());
  return {Median(times), times.front(), Percentile(times, 95), Percentile(times, 99)};
}

}  // namespace ringmaster
