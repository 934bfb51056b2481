#ifndef RINGMASTER_COMMON_UPDATE_DELAY_COMPENSATION_H_
#define RINGMASTER_COMMON_UPDATE_DELAY_COMPENSATION_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/partition.h"
#include "common/update/update_rule.h"

namespace ringmaster {

// How gradients that come late are corrected.
struct DelayCompensation {
  double lambda = 0;  // 0 or more
  bool adaptive = false;
  double decay = 0;  // of the mean of squares, in [0, 1); adaptive only
  // N: gradients carry the factor 1/N, and lambda is for those that do not
  int32_t workers = 1;
};

// A rule around `rule` that first corrects each gradient g towards the weights w that it is applied
// to, from those w0 that it was computed with (UpdateStep.read), element by element:
//   constant   g + lambda * g * g * (w - w0)
//   adaptive   m = decay * m + (1 - decay) * g * g; lambda / sqrt(m + 1e-7) in place of lambda
// where g is one worker's own mean gradient; what is pushed is g / N, and is corrected to be 1/N of
// that. Running statistics are no gradients and stay as they come. lambda 0 leaves every bit of a
// finite gradient, but the sign of a zero. Its state has the part "rule" and, adaptive, the array
// "mean_square". Source: Zheng et al., "Asynchronous Stochastic Gradient Descent with Delay
// Compensation", ICML 2017, section 4 and algorithm 2 (DC-ASGD-c and -a).
//
// `count`: elements of the rule; `statistics`: those that are running statistics, as UpdateScope
// has them. RM_CHECKs that `rule` does not clip and that the numbers are in their ranges.
std::unique_ptr<UpdateRule> Compensate(std::unique_ptr<UpdateRule> rule,
                                       const DelayCompensation& compensation, int64_t count,
                                       std::vector<Range> statistics);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_DELAY_COMPENSATION_H_
