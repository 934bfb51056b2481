#ifndef RINGMASTER_COMMON_UPDATE_LEARNING_RATE_H_
#define RINGMASTER_COMMON_UPDATE_LEARNING_RATE_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace ringmaster {

class OptimizerSpec;

// The learning rate as a function of the samples that all workers together have seen. It does not
// ask how many updates they made: the same data gives the same rate under every consistency model.
// Immutable, thread-safe.
class LearningRate {
 public:
  // From the resolved `spec`; `batches`, of batch_per_worker samples, make up the run's global
  // batch: N * A, `single` included, which stands for N workers. InvalidArgument names the field
  // that is missing or out of range, or the second of two schedules.
  static absl::StatusOr<LearningRate> Create(const OptimizerSpec& spec, int32_t batches);

  // The rate of the update that comes after `samples_seen` >= 0 samples. The full rate is
  // learning_rate, times `batches` with scale_with_workers. Over the first warmup_samples it rises
  // linearly from 0; from there on, with t samples more:
  //   constant  full
  //   step      full * factor^(t div every_samples)
  //   cosine    full * (floor + (1 - floor) * (1 + cos(pi * t / total_samples)) / 2);
  //             from total_samples on full * floor
  // Computed in double precision and rounded once to float, by additions, multiplications and
  // divisions alone (powers by repeated squaring, the cosine by a polynomial), so that every
  // machine gets the same bits.
  float At(int64_t samples_seen) const;

 private:
  LearningRate() = default;

  double full_ = 0;
  int64_t warmup_samples_ = 0;
  double factor_ = 1;
  int64_t every_samples_ = 0;  // 0: no steps
  double floor_ = 0;
  int64_t total_samples_ = 0;  // 0: no cosine
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_LEARNING_RATE_H_
