#include "experiments/study/results/pooling.h"

#include <algorithm>
#include <utility>

#include "common/trace/timed_steps.h"

namespace ringmaster {
namespace {

// Medians of equal workers differ by as much, whatever the spread of a worker's own steps.
constexpr double kLeastSpread = 0.05;

}  // namespace

std::vector<float> SortedStepMs(const std::vector<const WorkerReport*>& workers) {
  std::vector<float> step_ms;
  for (const WorkerReport* worker : workers) {
    for (const int32_t step : TimedSteps(*worker)) step_ms.push_back(worker->step_ms(step));
  }
  std::sort(step_ms.begin(), step_ms.end());
  return step_ms;
}

double Quantile(const std::vector<float>& sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::optional<StepTimes> StepTimesOf(const std::vector<const WorkerReport*>& workers) {
  struct OfWorker {
    double median;
    std::vector<float> sorted;
  };
  std::vector<OfWorker> by_median;
  double own_spread = 0;
  for (const WorkerReport* worker : workers) {
    std::vector<float> sorted = SortedStepMs({worker});
    if (sorted.empty()) continue;
    own_spread = std::max(own_spread, Quantile(sorted, 0.75) - Quantile(sorted, 0.25));
    by_median.push_back({Quantile(sorted, 0.5), std::move(sorted)});
  }
  if (by_median.empty()) return std::nullopt;
  std::sort(by_median.begin(), by_median.end(),
            [](const OfWorker& a, const OfWorker& b) { return a.median < b.median; });
  StepTimes times;
  times.fastest_rank_ms = by_median.front().median;
  times.slowest_rank_ms = by_median.back().median;
  times.ranks_differ = times.slowest_rank_ms - times.fastest_rank_ms >
                       std::max(own_spread, kLeastSpread * times.fastest_rank_ms);
  const std::vector<float> all = SortedStepMs(workers);
  const std::vector<float>& steps =
      times.ranks_differ ? by_median[(by_median.size() - 1) / 2].sorted : all;
  times.p50_ms = Quantile(steps, 0.5);
  times.p95_ms = Quantile(steps, 0.95);
  return times;
}

PooledStaleness PoolStaleness(const std::vector<const ServerReport*>& servers) {
  PooledStaleness pooled;
  double sum = 0;
  for (const ServerReport* server : servers) {
    for (int64_t s = 0; s < server->staleness_histogram_size(); ++s) {
      const int64_t count = server->staleness_histogram(static_cast<int>(s));
      if (count == 0) continue;
      pooled.contributions += static_cast<double>(count);
      sum += static_cast<double>(count) * static_cast<double>(s);
      pooled.largest = std::max(pooled.largest, s);
    }
  }
  if (pooled.contributions > 0) pooled.mean = sum / pooled.contributions;
  return pooled;
}

}  // namespace ringmaster
