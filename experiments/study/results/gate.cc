#include "experiments/study/results/gate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

constexpr double kBlockMs = 5000;
constexpr int64_t kLeastSteps = 10, kMostSteps = 100;

}  // namespace

double MedianStepMs(const StepMs& step_ms, int64_t begin, int64_t end) {
  std::vector<double> steps;
  for (const absl::Span<const float> of_worker : step_ms) {
    const int64_t size = static_cast<int64_t>(of_worker.size());
    for (int64_t step = begin; step < std::min(end, size); ++step) steps.push_back(of_worker[step]);
  }
  return steps.empty() ? 0 : Median(std::move(steps));
}

GateBlock FirstBlock(const StepMs& step_ms, int64_t begin) {
  if (step_ms.empty()) return {};
  const int64_t end = std::min(begin + kMostSteps, static_cast<int64_t>(step_ms.front().size()));
  if (begin >= end) return {};
  double ms = 0;
  int64_t last = begin;
  while (last < end && (ms < kBlockMs || last - begin < kLeastSteps)) ms += step_ms.front()[last++];
  return {begin, last, MedianStepMs(step_ms, begin, last)};
}

GateResult JudgeGate(const std::string& arm, const GateBlock& block, double later_ms,
                     double percent) {
  GateResult result;
  const double apart = 100 * (later_ms / block.step_ms - 1);
  result.passes = block.step_ms > 0 && later_ms > 0 && std::abs(apart) <= percent;
  result.text = absl::StrFormat(
      "%s: a step of %s took %.3g ms at the beginning and %.3g ms at the end (median of steps %d "
      "to %d), %+.1f %%, allowed %.3g %%",
      result.passes ? "gate passed" : "not quotable", arm, block.step_ms, later_ms, block.begin,
      block.end - 1, apart, percent);
  return result;
}

}  // namespace ringmaster
