#ifndef RINGMASTER_WORKER_STRATEGY_REPLICA_H_
#define RINGMASTER_WORKER_STRATEGY_REPLICA_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {

// An arena of weights, on the host or on a device. Borrows; nobody writes through it.
struct WeightsView {
  TensorView values;
  // moves whenever these weights change: who holds a copy knows when to renew it
  int64_t version = 0;

  // The view's pointer is not const because gradients share the type.
  static WeightsView OnHost(const std::vector<float>& values, int64_t version) {
    return {
        {const_cast<float*>(values.data()), 1, static_cast<int64_t>(values.size()), Place::kHost},
        version};
  }

  // [count]. REQUIRES: they lie on the host.
  absl::Span<const float> host() const {
    RM_CHECK(values.place != Place::kDevice);
    return {values.data, static_cast<size_t>(values.count())};
  }
};

// A worker's weights and the rule that updates them, wherever they lie: the step thread computes
// with them. Not synchronized: only the step thread changes them, or another thread while that
// is behind EndStep and before the return of the next BeginStep, or in Drain.
class Replica {
 public:
  virtual ~Replica() = default;

  // The weights as they are, where they are; valid until they change.
  virtual WeightsView weights() const = 0;

  // [count], the weights on the host; valid until they change. From a device they are copied first,
  // if they have changed since the last time; what fails then AwaitUpdates says. Another thread may
  // call it, Edit and Replace where the step thread has called it since the last update.
  virtual absl::Span<const float> OnHost() const = 0;

  // Waits until all updates made so far are in the weights, as part of the phase "update", and
  // returns what has failed until then. A host's are there when they return. The step thread's.
  virtual absl::Status AwaitUpdates() { return absl::OkStatus(); }

  // Puts `*weights`, on the host and of the same size, in the weights' place, whole. Afterwards
  // `*weights` has the same size and may hold anything.
  virtual void Replace(std::vector<float>* weights) = 0;

  // The weights, on the host, for a strategy that changes them in place: those of other workers
  // come where this one updates nothing. Valid until the next call; the version moves at once.
  virtual absl::Span<float> Edit() = 0;

  // Updates the weights by the gradient of `step` averaged over all workers, by bucket, all of
  // them, or of each that part which this worker updates (SchemeTraits::updated); clipped by the
  // norm over all buckets where the rule clips. Counts as the phase "update". Takes gradients
  // of form kHost, which stay as they are until the next step's come, and where the weights lie on
  // a device those of form kDevice. An error leaves the weights useless.
  virtual absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) = 0;
  // The same by a gradient of this worker's own batches in its step `step`, before which all
  // workers together have seen `samples_seen` samples: workers that claim their work make unlike
  // numbers of steps.
  virtual absl::Status ApplyAfter(int64_t samples_seen, int64_t step,
                                  absl::Span<const BucketGradient> gradient) = 0;

  // The weights and what the rule keeps. Taken by another replica of the same spec and layout, that
  // goes on with the same bits, wherever its weights lie.
  virtual absl::StatusOr<State> Give() const = 0;
  // InvalidArgument: the state is of another kind or size; the replica is then unchanged.
  virtual absl::Status Take(const State& state) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_REPLICA_H_
