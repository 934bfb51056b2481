#ifndef RINGMASTER_WORKER_MODEL_EMULATED_H_
#define RINGMASTER_WORKER_MODEL_EMULATED_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/model.h"

namespace ringmaster {

// How long the computing takes that is not done, and what ends it early.
struct EmulatedTimes {
  absl::Duration forward;  // of one batch, whatever its size
  absl::Duration backward;
  // As of SleepUntil (common/base/interruptible_sleep.h): its error is Forward's or Backward's.
  std::function<absl::Status()> interrupted;
  // By which both take longer from now on, asked when each begins; absent: 1, always.
  std::function<double()> slowed = nullptr;
};

// Where the gradients come from that nobody computes.
struct EmulatedGradients {
  // Standard deviation of a gradient, before the batch's gradient_scale; about that of an mlp on
  // MNIST. A power of two, so that it costs no rounding. A weight that gets the same addition in
  // every step stands still once it is 2^24 times as large, so weights stay finite, whatever the
  // number of steps.
  static constexpr float kDeviation = 0x1p-10f;

  uint64_t seed = 0;           // training.seed
  int32_t ranks = 1;           // N
  int32_t batches_a_rank = 1;  // A, of a lot
  // gradient_scale of the batches to come. Batches with another one are right too, but the first
  // of them pays for a new draw.
  float scale = 1;
};

// `real`'s layout and initial weights, without its arithmetic: Forward and Backward sleep, and the
// gradients are Gaussian, drawn here: independent, with mean 0 and deviation kDeviation, times the
// batch's gradient_scale. One draw of layout().count() floats serves all ranks: that of lot l
// begins at the (l mod N)-th of N places of it and goes around. So it depends on training.seed and
// on whose lot it is, and is the same in every step and arm, whoever computes it; ranks differ.
//
// Backward writes and announces one bucket after the other, each when as large a share of its time
// has passed as the arena's elements so far are of all. Both keep to times counted from their own
// beginning, so writing, and what the listener does meanwhile, takes no time of its own unless it
// outlasts them, as beside a device. Scores are 0; ScoreRows is FailedPrecondition. `real` need
// take no more than a batch of one; `kernels`, its library, outlives the model. ResourceExhausted:
// no memory for the draw.
absl::StatusOr<std::unique_ptr<Model>> CreateEmulatedModel(std::unique_ptr<Model> real,
                                                           EmulatedTimes times,
                                                           const EmulatedGradients& gradients,
                                                           KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_EMULATED_H_
