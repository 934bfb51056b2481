#include "experiments/study/results/pooling.h"

#include <algorithm>

namespace ringmaster {

std::vector<float> SortedStepMs(const std::vector<const WorkerReport*>& workers) {
  std::vector<float> step_ms;
  for (const WorkerReport* worker : workers) {
    const int64_t timed = std::clamp<int64_t>(worker->timed_steps(), 0, worker->step_ms_size());
    step_ms.insert(step_ms.end(), worker->step_ms().end() - timed, worker->step_ms().end());
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
