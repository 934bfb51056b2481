#include "worker/strategy/local_update.h"

namespace ringmaster {

void LocalUpdate::Apply(int64_t step) {
  if (link_.averaged_gradient) {
    for (const Bucket& bucket : link_.layout->buckets()) {
      link_.averaged_gradient(step, bucket, gradients_[bucket.id]);
    }
  }
  ScopedPhase phase(*link_.step_times, Phase::kUpdate);
  float clip = 1;
  if (link_.update->clips()) {
    double sum = 0;
    for (const Bucket& bucket : link_.layout->buckets()) {
      sum += link_.update->SumOfSquares(bucket.begin, gradients_[bucket.id]);
    }
    clip = link_.update->ClipFactor(sum);
  }
  for (const Bucket& bucket : link_.layout->buckets()) {
    link_.update->Apply({bucket.begin, step * link_.global_batch, step, clip}, gradients_[bucket.id],
                        link_.weights->front().subspan(bucket.begin, bucket.count));
  }
  link_.weights->Touch();
}

}  // namespace ringmaster
