#ifndef RINGMASTER_COMMON_CODEC_LOW_RANK_LOW_RANK_LOOPS_H_
#define RINGMASTER_COMMON_CODEC_LOW_RANK_LOW_RANK_LOOPS_H_

#include <cstddef>

namespace ringmaster {

// The sizes of a matrix [rows, columns], row after row, and of its two factors. A factor lies one
// vector of rank after the other: P is [rank, rows] and Q [rank, columns], so that the product they
// stand for is transposed(P) Q.
struct LowRankShape {
  size_t rows = 0;
  size_t columns = 0;
  size_t rank = 0;
};

// The products of a matrix and two skinny factors for one instruction set. All sets give the same
// bits: every product is a fused multiply-add in the order stated, whatever the vectors' width.
// Nothing needs to be aligned; no two arguments overlap. Pure, thread-safe.
//
// A dot product of n elements is added up in 16 lanes, element i in lane i % 16, which are then
// halved in number, the upper half added to the lower, until one is left.
struct LowRankLoops {
  const char* name;

  // P = M Q: p[k][i] = the dot product of row i and q[k].
  void (*project)(const LowRankShape& shape, const float* matrix, const float* q, float* p);
  // The same of M = residual * decay + gradient, which `residual` becomes. The product with `decay`
  // is rounded before the sum, so that a decay of 1 adds.
  void (*project_corrected)(const LowRankShape& shape, const float* gradient, float decay,
                            float* residual, const float* q, float* p);
  // Q = transposed(M) P: q[k][j] = the sum of p[k][i] * M[i][j] in ascending order of i.
  void (*project_back)(const LowRankShape& shape, const float* matrix, const float* p, float* q);
  // out[i][j] = the sum of p[k][i] * q[k][j] in ascending order of k.
  void (*multiply)(const LowRankShape& shape, const float* p, const float* q, float* out);
  // matrix[i][j] -= p[k][i] * q[k][j], in ascending order of k.
  void (*subtract)(const LowRankShape& shape, const float* p, const float* q, float* matrix);
};

// The baseline, which every machine has.
const LowRankLoops& Avx2LowRankLoops();
// Null where the machine lacks it.
const LowRankLoops* Avx512LowRankLoops();
// The fastest set of this machine.
const LowRankLoops& BestLowRankLoops();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOW_RANK_LOW_RANK_LOOPS_H_
