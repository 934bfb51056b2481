#include <immintrin.h>

#include "common/codec/low_rank/low_rank_loops_body.h"

namespace ringmaster {
namespace {

// 16 lanes.
struct Avx2 {
  __m256 low, high;

  static Avx2 Load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
  static void Store(const Avx2& values, float* to) {
    _mm256_storeu_ps(to, values.low);
    _mm256_storeu_ps(to + 8, values.high);
  }
  static Avx2 Set(float value) {
    const __m256 all = _mm256_set1_ps(value);
    return {all, all};
  }
  static Avx2 Add(const Avx2& a, const Avx2& b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  static Avx2 Multiply(const Avx2& a, const Avx2& b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  // a * b + to, rounded once.
  static Avx2 MultiplyAdd(const Avx2& a, const Avx2& b, const Avx2& to) {
    return {_mm256_fmadd_ps(a.low, b.low, to.low), _mm256_fmadd_ps(a.high, b.high, to.high)};
  }
  // from - a * b, rounded once.
  static Avx2 MultiplySubtract(const Avx2& a, const Avx2& b, const Avx2& from) {
    return {_mm256_fnmadd_ps(a.low, b.low, from.low), _mm256_fnmadd_ps(a.high, b.high, from.high)};
  }
};

constexpr LowRankLoops kLoops = LowRankLoopsOf<Avx2>("avx2");

}  // namespace

const LowRankLoops& Avx2LowRankLoops() { return kLoops; }

}  // namespace ringmaster
