#ifndef RINGMASTER_WORKER_KERNELS_CPU_ATTENTION_BLOCK_H_
#define RINGMASTER_WORKER_KERNELS_CPU_ATTENTION_BLOCK_H_

#include <algorithm>
#include <cstdint>

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {

// A block's queries see no key behind its last one, so that of a long context little more than the
// causal half is computed, and still by matrix products of a good size.
constexpr int64_t kAttentionBlockQueries = 64;

// The queries [begin, end()) of one head of one sequence: where they, and the keys and values [0,
// end()) they see, lie in the arrays of an attention call.
struct AttentionBlock {
  AttentionShape shape;
  int64_t sequence = 0, head = 0, begin = 0;

  int64_t end() const { return std::min(begin + kAttentionBlockQueries, shape.context); }
  int64_t queries() const { return end() - begin; }
  int64_t keys() const { return end(); }

  // First element of token i's part in qkv (0 query, 1 key, 2 value), and from one token to the
  // next.
  int64_t qkv(int64_t part, int64_t i) const {
    return (sequence * shape.context + i) * qkv_row() + part * shape.width() +
           head * shape.head_width;
  }
  int64_t qkv_row() const { return 3 * shape.width(); }
  // Of the first query in the output.
  int64_t output() const {
    return (sequence * shape.context + begin) * shape.width() + head * shape.head_width;
  }
  // Of the first query in the probabilities.
  int64_t pairs() const {
    return ((sequence * shape.heads + head) * shape.context + begin) * shape.context;
  }
};

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_ATTENTION_BLOCK_H_
