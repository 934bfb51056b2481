#ifndef RINGMASTER_COMMON_CODEC_LOW_RANK_LOW_RANK_LOOPS_BODY_H_
#define RINGMASTER_COMMON_CODEC_LOW_RANK_LOW_RANK_LOOPS_BODY_H_

#include <cstddef>
#include <cstring>

#include "common/codec/low_rank/low_rank_loops.h"

// The loops over kDotLanes elements at a time, which V holds in as many vectors as its instruction
// set needs. Included by one source file for each set, with V in an unnamed namespace and all else
// static, so that no two files share code.

namespace ringmaster {

inline constexpr size_t kDotLanes = 16;
// Dot products that are added up at once: the processor waits four cycles for a sum, and the
// matrix is read once for all of them.
inline constexpr size_t kDotsAtOnce = 4;
// Rows that are added to a factor at once, so that the factor is read and written less often.
inline constexpr size_t kRowsAtOnce = 4;

// The elements that are left over at the end of a row go through an array padded with zeros and the
// same instructions.
template <class V>
struct LowRankTail {
  LowRankTail(const float* from, size_t n) { std::memcpy(floats, from, n * sizeof(float)); }
  alignas(64) float floats[kDotLanes] = {};
};

static inline float FoldDotLanes(float* lanes) {
  for (size_t width = kDotLanes / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

// dots[k] = the dot product of `row` and the vector k of `q`, [columns] each, for k < kDots.
template <class V, size_t kDots>
void DotRow(const float* row, const float* q, size_t columns, float* dots) {
  V sums[kDots];
  for (size_t k = 0; k < kDots; ++k) sums[k] = V::Set(0.0f);
  size_t j = 0;
  for (; j + kDotLanes <= columns; j += kDotLanes) {
    const V values = V::Load(row + j);
    for (size_t k = 0; k < kDots; ++k)
      sums[k] = V::MultiplyAdd(values, V::Load(q + k * columns + j), sums[k]);
  }
  if (j < columns) {
    const LowRankTail<V> values(row + j, columns - j);
    for (size_t k = 0; k < kDots; ++k) {
      const LowRankTail<V> others(q + k * columns + j, columns - j);
      sums[k] = V::MultiplyAdd(V::Load(values.floats), V::Load(others.floats), sums[k]);
    }
  }
  for (size_t k = 0; k < kDots; ++k) {
    alignas(64) float lanes[kDotLanes];
    V::Store(sums[k], lanes);
    dots[k] = FoldDotLanes(lanes);
  }
}

// Row `i` of M against all of Q.
template <class V>
void ProjectRow(const LowRankShape& shape, const float* row, size_t i, const float* q, float* p) {
  float dots[kDotsAtOnce];
  size_t k = 0;
  for (; k + kDotsAtOnce <= shape.rank; k += kDotsAtOnce) {
    DotRow<V, kDotsAtOnce>(row, q + k * shape.columns, shape.columns, dots);
    for (size_t d = 0; d < kDotsAtOnce; ++d) p[(k + d) * shape.rows + i] = dots[d];
  }
  if (k + 2 <= shape.rank) {
    DotRow<V, 2>(row, q + k * shape.columns, shape.columns, dots);
    for (size_t d = 0; d < 2; ++d) p[(k + d) * shape.rows + i] = dots[d];
    k += 2;
  }
  if (k == shape.rank) return;
  DotRow<V, 1>(row, q + k * shape.columns, shape.columns, dots);
  p[k * shape.rows + i] = dots[0];
}

template <class V>
void Project(const LowRankShape& shape, const float* matrix, const float* q, float* p) {
  for (size_t i = 0; i < shape.rows; ++i) ProjectRow<V>(shape, matrix + i * shape.columns, i, q, p);
}

template <class V>
void ProjectCorrected(const LowRankShape& shape, const float* gradient, float decay,
                      float* residual, const float* q, float* p) {
  const V decays = V::Set(decay);
  for (size_t i = 0; i < shape.rows; ++i) {
    const float* const from = gradient + i * shape.columns;
    float* const row = residual + i * shape.columns;
    size_t j = 0;
    for (; j + kDotLanes <= shape.columns; j += kDotLanes)
      V::Store(V::Add(V::Multiply(V::Load(row + j), decays), V::Load(from + j)), row + j);
    for (; j < shape.columns; ++j) {
      const float kept = row[j] * decay;
      row[j] = kept + from[j];
    }
    ProjectRow<V>(shape, row, i, q, p);
  }
}

// q[j] = the sum of q[j] and weights[r] * rows[r][j] for r < kRows, one after the other.
template <class V, size_t kRows>
void AddRows(const float* const* rows, const float* weights, size_t columns, float* q) {
  V factors[kRows];
  for (size_t r = 0; r < kRows; ++r) factors[r] = V::Set(weights[r]);
  size_t j = 0;
  for (; j + kDotLanes <= columns; j += kDotLanes) {
    V sum = V::Load(q + j);
    for (size_t r = 0; r < kRows; ++r) sum = V::MultiplyAdd(factors[r], V::Load(rows[r] + j), sum);
    V::Store(sum, q + j);
  }
  if (j == columns) return;
  LowRankTail<V> left(q + j, columns - j);
  V sum = V::Load(left.floats);
  for (size_t r = 0; r < kRows; ++r) {
    const LowRankTail<V> values(rows[r] + j, columns - j);
    sum = V::MultiplyAdd(factors[r], V::Load(values.floats), sum);
  }
  V::Store(sum, left.floats);
  std::memcpy(q + j, left.floats, (columns - j) * sizeof(float));
}

template <class V>
void ProjectBack(const LowRankShape& shape, const float* matrix, const float* p, float* q) {
  std::memset(q, 0, shape.rank * shape.columns * sizeof(float));
  const float* rows[kRowsAtOnce];
  size_t i = 0;
  for (; i + kRowsAtOnce <= shape.rows; i += kRowsAtOnce) {
    for (size_t r = 0; r < kRowsAtOnce; ++r) rows[r] = matrix + (i + r) * shape.columns;
    for (size_t k = 0; k < shape.rank; ++k)
      AddRows<V, kRowsAtOnce>(rows, p + k * shape.rows + i, shape.columns, q + k * shape.columns);
  }
  for (; i < shape.rows; ++i) {
    rows[0] = matrix + i * shape.columns;
    for (size_t k = 0; k < shape.rank; ++k)
      AddRows<V, 1>(rows, p + k * shape.rows + i, shape.columns, q + k * shape.columns);
  }
}

// out[i][j] = `sum` of the elements there and of p[k][i], q[k][j] for all k. kKeeps: it begins with
// out[i][j], else with 0.
template <class V, bool kKeeps, class Sum>
void CombineRows(const LowRankShape& shape, const float* p, const float* q, float* out, Sum sum) {
  for (size_t i = 0; i < shape.rows; ++i) {
    float* const row = out + i * shape.columns;
    size_t j = 0;
    for (; j + kDotLanes <= shape.columns; j += kDotLanes) {
      V total = kKeeps ? V::Load(row + j) : V::Set(0.0f);
      for (size_t k = 0; k < shape.rank; ++k)
        total = sum(V::Set(p[k * shape.rows + i]), V::Load(q + k * shape.columns + j), total);
      V::Store(total, row + j);
    }
    if (j == shape.columns) continue;
    const size_t left = shape.columns - j;
    V total = V::Set(0.0f);
    if (kKeeps) total = V::Load(LowRankTail<V>(row + j, left).floats);
    for (size_t k = 0; k < shape.rank; ++k) {
      const LowRankTail<V> values(q + k * shape.columns + j, left);
      total = sum(V::Set(p[k * shape.rows + i]), V::Load(values.floats), total);
    }
    alignas(64) float lanes[kDotLanes];
    V::Store(total, lanes);
    std::memcpy(row + j, lanes, left * sizeof(float));
  }
}

template <class V>
void MultiplyFactors(const LowRankShape& shape, const float* p, const float* q, float* out) {
  CombineRows<V, false>(shape, p, q, out,
                        [](V a, V b, V total) { return V::MultiplyAdd(a, b, total); });
}

template <class V>
void SubtractProduct(const LowRankShape& shape, const float* p, const float* q, float* matrix) {
  CombineRows<V, true>(shape, p, q, matrix,
                       [](V a, V b, V total) { return V::MultiplySubtract(a, b, total); });
}

template <class V>
constexpr LowRankLoops LowRankLoopsOf(const char* name) {
  return {name,           Project<V>,         ProjectCorrected<V>,
          ProjectBack<V>, MultiplyFactors<V>, SubtractProduct<V>};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOW_RANK_LOW_RANK_LOOPS_BODY_H_
