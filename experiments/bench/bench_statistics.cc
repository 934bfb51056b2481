#include "experiments/bench/bench_statistics.h"

#include <algorithm>
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

MedianInterval PairedRatio(const std::vector<double>& ours, const std::vector<double>& theirs) {
  RM_CHECK(!ours.empty() && ours.size() == theirs.size());
  std::vector<double> ratios(ours.size());
  for (size_t i = 0; i < ours.size(); ++i) ratios[i] = theirs[i] / ours[i];
  Random random(kSeed);
  std::vector<double> medians(kResamples);
  std::vector<double> sample(ratios.size());
  for (double& median : medians) {
    for (double& ratio : sample) ratio = ratios[random.Below(ratios.size())];
    median = MedianInPlace(&sample);
  }
  std::sort(medians.begin(), medians.end());
  return {Median(std::move(ratios)), medians[kBelowLow], medians[kResamples - 1 - kBelowLow]};
}

}  // namespace ringmaster
