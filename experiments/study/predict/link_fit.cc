#include "experiments/study/predict/link_fit.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

// Smaller messages take the time of their handling.
constexpr int64_t kSlopeBytesMin = 32 << 10;

struct Point {
  double bytes = 0;
  double seconds = 0;
};

// Repeated so often, in blocks that follow one another: the best one counts.
constexpr size_t kBlocks = 5;
constexpr size_t kBlockSamplesMin = 5;

double BestMedian(const std::vector<double>& seconds) {
  return BestBlock(seconds, std::max(kBlockSamplesMin, seconds.size() / kBlocks)).median;
}

// The median of the slopes between any two points, seconds a byte; 0 where there are not two.
double SlopeOf(const std::vector<Point>& points) {
  const auto large = std::count_if(points.begin(), points.end(), [](const Point& point) {
    return point.bytes >= kSlopeBytesMin;
  });
  std::vector<double> slopes;
  for (const Point& less : points) {
    for (const Point& more : points) {
      if (more.bytes <= less.bytes || (large >= 2 && less.bytes < kSlopeBytesMin)) continue;
      slopes.push_back((more.seconds - less.seconds) / (more.bytes - less.bytes));
    }
  }
  return slopes.empty() ? 0 : Median(std::move(slopes));
}

}  // namespace

LinkFit FitLink(absl::Span<const LinkTimes> times) {
  RM_CHECK(!times.empty());
  LinkFit fit;
  std::vector<Point> together, cpu;
  for (const LinkTimes& of_size : times) {
    fit.samples += static_cast<int64_t>(of_size.alone.size() + of_size.together.size());
    together.push_back({static_cast<double>(of_size.bytes), BestMedian(of_size.together)});
    cpu.push_back({static_cast<double>(of_size.bytes), of_size.together_cpu});
  }
  const double slope = SlopeOf(together);
  if (slope > 0) fit.rate = 1 / slope;
  const LinkTimes& smallest =
      *std::min_element(times.begin(), times.end(),
                        [](const LinkTimes& a, const LinkTimes& b) { return a.bytes < b.bytes; });
  fit.latency =
      std::max(0.0, BestMedian(smallest.alone) - static_cast<double>(smallest.bytes) / fit.rate);
  fit.cpu_byte = std::max(0.0, SlopeOf(cpu));
  fit.cpu_message = smallest.together_cpu / 2;
  return fit;
}

}  // namespace ringmaster
