#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_NEED_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_NEED_H_

#include <cstdint>

#include "proto/record.pb.h"

namespace ringmaster {

// Of all that a process takes, or of all processes together.
inline int64_t TotalBytes(const MemoryNeed& need) {
  return need.program_bytes() + need.weights_bytes() + need.gradients_bytes() +
         need.optimizer_bytes() + need.codec_bytes() + need.marks_bytes() +
         need.checkpoints_bytes() + need.data_bytes() + need.activations_bytes();
}

template <typename Needs>
int64_t TotalBytesOfAll(const Needs& needs) {
  int64_t bytes = 0;
  for (const MemoryNeed& need : needs) bytes += TotalBytes(need);
  return bytes;
}

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_NEED_H_
