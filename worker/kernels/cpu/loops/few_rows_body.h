#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_FEW_ROWS_BODY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_FEW_ROWS_BODY_H_

#include "worker/kernels/calls.h"
#include "worker/kernels/cpu/loops/loops.h"
#include "worker/kernels/cpu/loops/tile_body.h"

namespace ringmaster::cpu {
namespace {

constexpr int64_t kFewRows = 64;
// Below, the copies cost more than they save.
constexpr int64_t kLeastSize = 512;
// Rows that are a multiple of 4 KiB long share few lines of the first cache: oneDNN's product for
// AVX2 then takes twice as long.
constexpr int64_t kConflictingRow = 1024;
// Rows of the large operand that are multiplied by all of the few before the next are read.
constexpr int64_t kLargeRows = 48;

// Floats of a tile's vectors: the few rows lie in memory [panel][size][kPanel].
template <class V>
constexpr int64_t kPanel = V::kTileVectors* V::kLanes;

// c[m, n] = a[m, k] b[n, k]^T for few rows m: rows of b by a^T, and their sums turned around into
// c. b is read once and where it lies.
template <class V>
void FewRowsForward(const GemmCall& call) {
  const int64_t few_row = RoundUp(call.m, kPanel<V>);
  float* few = LoopScratch((call.k + call.n) * few_row);
  float* sums = few + call.k * few_row;  // [n][few_row]
  for (int64_t row = 0; row < call.m; row += kPanel<V>) {
    const int64_t rows = std::min(kPanel<V>, call.m - row);
    float* panel = few + row * call.k;
    for (int64_t i = RoundUp(rows, V::kLanes); i < kPanel<V>; i += V::kLanes) {
      for (int64_t k = 0; k < call.k; ++k) V::Store(panel + k * kPanel<V> + i, V::Zero());
    }
    Transpose<V>(call.a + row * call.lda, call.lda, rows, call.k, panel, kPanel<V>);
  }
  for (int64_t k = 0; k < call.k; k += V::kTerms) {
    const int64_t terms = std::min(V::kTerms, call.k - k);
    for (int64_t col = 0; col < call.n; col += kLargeRows) {
      const int64_t cols = std::min(kLargeRows, call.n - col);
      for (int64_t row = 0; row < call.m; row += kPanel<V>) {
        Multiply<V>(cols, kPanel<V>, terms, {call.b + col * call.ldb + k, call.ldb, 1},
                    {few + row * call.k + k * kPanel<V>, kPanel<V>},
                    {sums + col * few_row + row, few_row, 1.0f, k > 0});
      }
      if (k + terms == call.k) {
        Transpose<V, Behind::kKept>(sums + col * few_row, few_row, cols, call.m, call.c + col,
                                    call.ldc);
      }
    }
  }
}

// Copies rows[count][cols] of floats into panels [panel][count][kPanel], with zeros behind the last
// column.
template <class V>
void CopyPanels(const float* from, int64_t from_row, int64_t count, int64_t cols, float* panels) {
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t col = 0; col < cols; col += V::kLanes) {
      float* to = panels + (col / kPanel<V> * count + k) * kPanel<V> + col % kPanel<V>;
      const float* row = from + k * from_row + col;
      V::Store(to,
               cols - col >= V::kLanes ? V::Load(row) : V::LoadMasked(row, V::First(cols - col)));
    }
  }
}

// c[m, n] = a[k, m]^T b[k, n] for few rows k: panels of b's columns, and c row by row, since what
// takes the time is writing it.
template <class V>
void FewRowsWeights(const GemmCall& call) {
  float* rows = LoopScratch((call.m + RoundUp(call.n, kPanel<V>)) * kFewRows);
  float* panels = rows + call.m * kFewRows;
  Transpose<V>(call.a, call.lda, call.k, call.m, rows, kFewRows);
  CopyPanels<V>(call.b, call.ldb, call.k, call.n, panels);
  const int64_t tiles = CeilDiv(call.m, V::kTileRows);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * call.m / tiles, end = (tile + 1) * call.m / tiles;
    for (int64_t col = 0; col < call.n; col += kPanel<V>) {
      MultiplyTile<V>(end - begin, std::min(kPanel<V>, call.n - col), call.k,
                      {rows + begin * kFewRows, kFewRows, 1}, {panels + col * call.k, kPanel<V>},
                      {call.c + begin * call.ldc + col, call.ldc, 1.0f, false});
    }
  }
}

// c[m, n] = a[m, k] b[k, n] for few rows m: some columns and terms of b at a time are copied into
// panels that the cache keeps while all rows of a go by.
template <class V>
void FewRowsInputs(const GemmCall& call) {
  constexpr int64_t kColumns = 64;
  float* panels = LoopScratch(V::kTerms * kColumns);
  for (int64_t col = 0; col < call.n; col += kColumns) {
    const int64_t cols = std::min(kColumns, call.n - col);
    for (int64_t k = 0; k < call.k; k += V::kTerms) {
      const int64_t terms = std::min(V::kTerms, call.k - k);
      CopyPanels<V>(call.b + k * call.ldb + col, call.ldb, terms, cols, panels);
      for (int64_t panel = 0; panel < cols; panel += kPanel<V>) {
        Multiply<V>(call.m, std::min(kPanel<V>, cols - panel), terms, {call.a + k, call.lda, 1},
                    {panels + panel * terms, kPanel<V>},
                    {call.c + col + panel, call.ldc, 1.0f, k > 0});
      }
    }
  }
}

inline bool IsFew(int64_t rows) { return rows > kFewRows / 2 && rows <= kFewRows; }

template <class V>
bool MultiplyFewRows(const GemmCall& call) {
  if (call.alpha != 1.0f || call.beta != 0.0f || call.n < kLeastSize) return false;
  const bool forward = !call.transpose_a && call.transpose_b;
  const bool weights = call.transpose_a && !call.transpose_b;
  const bool inputs = !call.transpose_a && !call.transpose_b;
  if (forward && IsFew(call.m) && call.k >= kLeastSize) {
    FewRowsForward<V>(call);
  } else if (V::kFewRowsOfWeights && weights && IsFew(call.k) && call.m >= kLeastSize) {
    FewRowsWeights<V>(call);
  } else if (V::kFewRowsOfInputs && inputs && IsFew(call.m) && call.k >= kLeastSize &&
             call.ldb % kConflictingRow == 0) {
    FewRowsInputs<V>(call);
  } else {
    return false;
  }
  return true;
}

}  // namespace
}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_FEW_ROWS_BODY_H_
