#include "common/update/delay_compensation.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// Elements that are corrected and applied at once: they stay in the first cache between the two.
constexpr size_t kBlock = 1024;

// The paper's, for every experiment.
constexpr double kEpsilon = 1e-7;

class CompensatingRule : public UpdateRule {
 public:
  CompensatingRule(std::unique_ptr<UpdateRule> rule, const DelayCompensation& compensation,
                   int64_t count, std::vector<Range> statistics)
      : rule_(std::move(rule)),
        adaptive_(compensation.adaptive),
        lambda_(static_cast<float>(compensation.lambda * compensation.workers)),
        factors_(FactorsOf(compensation)),
        count_(count),
        statistics_(std::move(statistics)),
        mean_square_(compensation.adaptive ? count : 0),
        corrected_(kBlock) {}

  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) override {
    RM_CHECK(step.begin >= 0 && step.begin + static_cast<int64_t>(gradient.size()) <= count_);
    RM_CHECK(step.read.size() == gradient.size() && weights.size() == gradient.size());
    UpdateStep part = step;
    for (size_t offset = 0; offset < gradient.size(); offset += kBlock) {
      part.begin = step.begin + static_cast<int64_t>(offset);
      part.read = step.read.subspan(offset, kBlock);
      const absl::Span<float> w = weights.subspan(offset, kBlock);
      const absl::Span<float> corrected = absl::MakeSpan(corrected_).first(w.size());
      Correct(part, gradient.subspan(offset, kBlock), w, corrected);
      rule_->Apply(part, corrected, w);
    }
  }

  bool clips() const override { return false; }
  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const override {
    return rule_->SumOfSquares(begin, gradient);
  }
  float ClipFactor(double sum_of_squares) const override {
    return rule_->ClipFactor(sum_of_squares);
  }

  State Give() const override {
    State state;
    if (adaptive_) state.AddFloats("mean_square", mean_square_);
    state.AddPart("rule", rule_->Give());
    return state;
  }
  int64_t state_bytes() const override {
    return static_cast<int64_t>(mean_square_.size() * sizeof(float)) + rule_->state_bytes();
  }

  absl::Status Take(const State& state) override {
    State own = state;
    const State rule = own.TakePart("rule");
    std::vector<float> mean_square(mean_square_.size());
    if (adaptive_) {
      RM_RETURN_IF_ERROR(own.CopyTo({{"mean_square", absl::MakeSpan(mean_square)}}));
    } else {
      RM_RETURN_IF_ERROR(own.CopyTo({}));
    }
    RM_RETURN_IF_ERROR(rule_->Take(rule));
    mean_square_ = std::move(mean_square);
    return absl::OkStatus();
  }

 private:
  // With p = g / N and the mean M of p * p, m = N^2 * M: g's correction is N times
  // lambda / sqrt(M + epsilon / N^2) * p * p * (w - w0).
  static AdaptiveDelayFactors FactorsOf(const DelayCompensation& compensation) {
    const double workers = compensation.workers;
    AdaptiveDelayFactors factors;
    factors.lambda = static_cast<float>(compensation.lambda);
    factors.keep = static_cast<float>(compensation.decay);
    factors.share = static_cast<float>(1 - compensation.decay);
    factors.epsilon = static_cast<float>(kEpsilon / (workers * workers));
    return factors;
  }

  void Correct(const UpdateStep& step, absl::Span<const float> gradient,
               absl::Span<const float> weights, absl::Span<float> corrected) {
    if (adaptive_) {
      CompensateDelayAdaptively(factors_, gradient, step.read, weights,
                                absl::MakeSpan(mean_square_).subspan(step.begin, gradient.size()),
                                corrected);
    } else {
      CompensateDelay(lambda_, gradient, step.read, weights, corrected);
    }
    const int64_t end = step.begin + static_cast<int64_t>(gradient.size());
    for (const Range& range : statistics_) {
      const int64_t from = std::max(range.begin, step.begin);
      const int64_t to = std::min(range.end(), end);
      if (from >= to) continue;
      std::copy(gradient.begin() + (from - step.begin), gradient.begin() + (to - step.begin),
                corrected.begin() + (from - step.begin));
    }
  }

  const std::unique_ptr<UpdateRule> rule_;
  const bool adaptive_;
  const float lambda_;  // times N
  const AdaptiveDelayFactors factors_;
  const int64_t count_;
  const std::vector<Range> statistics_;
  std::vector<float> mean_square_;  // [count], of pushed gradients; adaptive only
  std::vector<float> corrected_;    // [kBlock]
};

}  // namespace

std::unique_ptr<UpdateRule> Compensate(std::unique_ptr<UpdateRule> rule,
                                       const DelayCompensation& compensation, int64_t count,
                                       std::vector<Range> statistics) {
  RM_CHECK(!rule->clips() && count >= 0 && compensation.workers > 0);
  RM_CHECK(compensation.lambda >= 0 && compensation.decay >= 0 && compensation.decay < 1);
  return std::make_unique<CompensatingRule>(std::move(rule), compensation, count,
                                            std::move(statistics));
}

}  // namespace ringmaster
