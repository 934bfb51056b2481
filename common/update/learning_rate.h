#ifndef RINGMASTER_COMMON_UPDATE_LEARNING_RATE_H_
#define RINGMASTER_COMMON_UPDATE_LEARNING_RATE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The learning rate as a function of the samples that all workers together have seen. It does not ask how many updates
// they made: the same data gives the same rate under every consistency model. Immutable, thread-safe.
class LearningRate {
 public:
  // From the resolved `spec`: constant, or stepped where `step_schedule` is present. InvalidArgument names the field
  // that is missing or out of range.
  static absl::StatusOr<LearningRate> Create(const OptimizerSpec& spec);

  // learning_rate * factor^(samples_seen div every_samples), computed in double precision and rounded once to float.
  // The power is taken by repeated squaring, so that every machine gets the same bits.  samples_seen >= 0.
  float At(int64_t samples_seen) const;

 private:
  LearningRate(double base, double factor, int64_t every_samples)
      : base_(base), factor_(factor), every_samples_(every_samples) {}

  double base_;
  double factor_;
  int64_t every_samples_;  // 0: constant
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_LEARNING_RATE_H_
