#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COMPUTE_PROFILE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COMPUTE_PROFILE_H_

#include <atomic>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "experiments/study/predict/costs.h"

namespace ringmaster {

class ComputeTimes;
class RunRecord;
class RunSpec;

// One worker alone on this machine.
struct ComputeProfile {
  std::vector<Bucket> buckets;  // the run's
  std::shared_ptr<const ParamLayout> layout;
  ComputeCosts costs;
  double step = 0;         // seconds, median of the best block
  bool on_device = false;  // its kernels compute on a GPU
};

// Runs some steps of the training loop for one worker of `spec` (resolved and valid) in this
// process, with a strategy that exchanges nothing and notes when it is handed each bucket.
// Slowdowns of the spec are left out. On `device`, where there is a GPU. `interrupted`: set from
// elsewhere (a signal handler) to end it with Cancelled. Errors as the training loop's.
absl::StatusOr<ComputeProfile> ProfileCompute(const RunSpec& spec, int device,
                                              const std::atomic<bool>* interrupted);

// The costs of a worker of `record`, a run that exchanged nothing and went well: the median step of
// the best block of successive ones, of the middle worker, is shared out as its phases' means are.
// `shape` says when buckets are ready.
ComputeCosts CostsOfSolo(const RunRecord& record, const ComputeProfile& shape);

// What was measured of a worker of `spec` (resolved), to be kept.
ComputeTimes TimesOf(const ComputeProfile& profile, const RunSpec& spec);

// Whether these are times of a worker of `spec` (resolved). InvalidArgument names what was computed
// and what the run computes, or what is wrong with a time.
absl::Status CheckTimes(const ComputeTimes& times, const RunSpec& spec);

// These times as the costs of a worker whose gradient is cut into `buckets`, however it was cut
// when they were measured. `times` are of the same model (CheckTimes).
ComputeCosts CostsOfTimes(const ComputeTimes& times, absl::Span<const Bucket> buckets);

// Of a worker that computes for `mean` seconds, the last `backward_share` of them in backward, and
// hands over its gradients evenly there. `buckets` are all of them.
ComputeCosts CostsOfMean(double mean, double backward_share, absl::Span<const Bucket> buckets);

// `spec` as a run of these workers and steps that exchanges nothing, leaves nothing behind, and
// has nobody slowed down.
RunSpec SoloOf(const RunSpec& spec, int32_t workers, int64_t steps, int32_t warmup_steps);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COMPUTE_PROFILE_H_
