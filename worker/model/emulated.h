#ifndef RINGMASTER_WORKER_MODEL_EMULATED_H_
#define RINGMASTER_WORKER_MODEL_EMULATED_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
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
};

// `real`'s layout and initial weights, without its arithmetic: Forward and Backward sleep, and the
// gradients are zeros. Backward announces one bucket after the other, each when as large
// a share of its time has passed as the arena's elements so far are of all. Both keep to times
// counted from their own beginning, so what the listener does meanwhile takes no time of its own
// unless it outlasts them, as beside a device. Scores are 0; ScoreRows is FailedPrecondition.
// `real` need take no more than a batch of one; `kernels`, its library, outlives the model.
std::unique_ptr<Model> CreateEmulatedModel(std::unique_ptr<Model> real, EmulatedTimes times,
                                           KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_EMULATED_H_
