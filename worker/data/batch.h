#ifndef RINGMASTER_WORKER_DATA_BATCH_H_
#define RINGMASTER_WORKER_DATA_BATCH_H_

#include <cstdint>
#include <vector>

namespace ringmaster {

// Samples that are computed together, on the host.
struct Batch {
  std::vector<float> features;   // [batch][channels][height][width]; images only
  std::vector<int32_t> tokens;   // [batch][context]; texts only
  std::vector<int32_t> labels;   // [batch][shape.labels()]
  std::vector<int64_t> indices;  // [batch], positions in Samples
  int64_t number = 0;            // of the batch in the stream
  int64_t count() const { return static_cast<int64_t>(indices.size()); }
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_BATCH_H_
