#ifndef RINGMASTER_WORKER_STRATEGY_BUCKET_ENCODER_H_
#define RINGMASTER_WORKER_STRATEGY_BUCKET_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/partition.h"

namespace ringmaster {

// Gradients that are encoded where they are computed, so that only the encoding comes to the host. With it the floats
// given to GradReady are not the gradient; they are memory for the strategy to use. Error feedback, where the spec
// has it, is the encoder's.
class BucketEncoder {
 public:
  virtual ~BucketEncoder() = default;

  // Before the first step, once: which parts of each bucket, as ranges of the arena in the order of the bucket, are
  // encoded each for itself. The strategy says so, which sends them.
  virtual absl::Status Prepare(std::vector<std::vector<Range>> slices) = 0;

  // The encoding of slices[bucket][slice], the bytes that the spec's codec makes of it; none for an empty slice. From
  // GradReady(step, bucket) until BeginStep(step + 2) returns the strategy's, which may change them. Any thread.
  virtual absl::Span<std::byte> Encoded(int64_t step, int32_t bucket, size_t slice) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_BUCKET_ENCODER_H_
