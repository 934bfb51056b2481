#ifndef RINGMASTER_WORKER_KERNELS_REFERENCE_ATTENTION_HEAD_H_
#define RINGMASTER_WORKER_KERNELS_REFERENCE_ATTENTION_HEAD_H_

#include <cstdint>

#include "worker/kernels/calls.h"

namespace ringmaster::reference {

// Where one head of one sequence lies in the arrays of an attention call.
struct AttentionHead {
  AttentionShape shape;
  int64_t sequence = 0, head = 0;

  // Elements of qkv (part 0 query, 1 key, 2 value) and of the output, of token i and dimension d.
  int64_t Qkv(int64_t part, int64_t i, int64_t d) const {
    return (sequence * shape.context + i) * 3 * shape.width() + part * shape.width() +
           head * shape.head_width + d;
  }
  int64_t Output(int64_t i, int64_t d) const {
    return (sequence * shape.context + i) * shape.width() + head * shape.head_width + d;
  }
  // Of the probabilities: query token i, key token j.
  int64_t Pair(int64_t i, int64_t j) const {
    return ((sequence * shape.heads + head) * shape.context + i) * shape.context + j;
  }
};

}  // namespace ringmaster::reference

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_ATTENTION_HEAD_H_
