// What the pragma compiles must be seen by this file alone, so everything else comes before it.
#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "common/codec/low_rank/low_rank_loops.h"

// The compiler's own header fills unused lanes with what it has not set.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")

#include "common/codec/low_rank/low_rank_loops_body.h"

namespace ringmaster {
namespace {

// 16 lanes.
struct Avx512 {
  __m512 lanes;

  static Avx512 Load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static void Store(const Avx512& values, float* to) { _mm512_storeu_ps(to, values.lanes); }
  static Avx512 Set(float value) { return {_mm512_set1_ps(value)}; }
  static Avx512 Add(const Avx512& a, const Avx512& b) { return {_mm512_add_ps(a.lanes, b.lanes)}; }
  static Avx512 Multiply(const Avx512& a, const Avx512& b) {
    return {_mm512_mul_ps(a.lanes, b.lanes)};
  }
  // a * b + to, rounded once.
  static Avx512 MultiplyAdd(const Avx512& a, const Avx512& b, const Avx512& to) {
    return {_mm512_fmadd_ps(a.lanes, b.lanes, to.lanes)};
  }
  // from - a * b, rounded once.
  static Avx512 MultiplySubtract(const Avx512& a, const Avx512& b, const Avx512& from) {
    return {_mm512_fnmadd_ps(a.lanes, b.lanes, from.lanes)};
  }
};

}  // namespace

extern const LowRankLoops kAvx512LowRankLoops;
constexpr LowRankLoops kAvx512LowRankLoops = LowRankLoopsOf<Avx512>("avx512");

}  // namespace ringmaster
