#include "experiments/study/results/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "common/base/check.h"
#include "common/base/random.h"

namespace ringmaster {
namespace {

constexpr int kResamples = 2000;
constexpr int kBelowLow = kResamples / 40;  // 2.5 %
constexpr uint64_t kSeed = 1;

// The median of `values`, which are put in another order.
double MedianInPlace(std::vector<double>* values) {
  RM_CHECK(!values->empty());
  const auto middle = values->begin() + values->size() / 2;
  std::nth_element(values->begin(), middle, values->end());
  if (values->size() % 2 == 1) return *middle;
  return (*std::max_element(values->begin(), middle) + *middle) / 2;
}

}  // namespace

double Median(std::vector<double> values) { return MedianInPlace(&values); }

Block BestBlock(const std::vector<double>& values, size_t size) {
  RM_CHECK(!values.empty() && size > 0);
  size = std::min(size, values.size());
  Block best;
  for (size_t begin = 0; begin + size <= values.size(); begin += size) {
    const double median =
        Median(std::vector<double>(values.begin() + begin, values.begin() + begin + size));
    if (best.size == 0 || median < best.median) best = {begin, size, median};
  }
  return best;
}

MedianInterval BootstrapMedian(const std::vector<double>& values) {
  RM_CHECK(!values.empty());
  Random random(kSeed);
  std::vector<double> medians(kResamples);
  std::vector<double> sample(values.size());
  for (double& median : medians) {
    for (double& value : sample) value = values[random.Below(values.size())];
    median = MedianInPlace(&sample);
  }
  std::sort(medians.begin(), medians.end());
  return {Median(values), medians[kBelowLow], medians[kResamples - 1 - kBelowLow]};
}

std::vector<size_t> Outliers(const std::vector<double>& values) {
  constexpr size_t kFewest = 4;
  // a normal distribution's standard deviation over its median distance
  constexpr double kScale = 1.4826;
  if (values.size() < kFewest) return {};
  const double median = Median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - median));
  const double limit = 3.5 * kScale * Median(distances);
  std::vector<size_t> outliers;
  for (size_t i = 0; i < values.size(); ++i) {
    if (distances[i] > limit) outliers.push_back(i);
  }
  return outliers;
}

MedianInterval PairedRatio(const std::vector<double>& ours, const std::vector<double>& theirs) {
  RM_CHECK(!ours.empty() && ours.size() == theirs.size());
  std::vector<double> ratios(ours.size());
  for (size_t i = 0; i < ours.size(); ++i) ratios[i] = theirs[i] / ours[i];
  return BootstrapMedian(ratios);
}

}  // namespace ringmaster
