#include "worker/strategy/local_update.h"

namespace ringmaster {

void LocalUpdate::Apply(int64_t step) {
  ScopedPhase phase(*link_.step_times, Phase::kUpdate);
  for (const Bucket& bucket : link_.layout->buckets()) {
    link_.update->Apply({bucket.begin, step * link_.global_batch}, gradients_[bucket.id],
                        link_.weights->front().subspan(bucket.begin, bucket.count));
  }
  link_.weights->Touch();
}

}  // namespace ringmaster
