#include <algorithm>

#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"
#include "worker/kernels/dropout_mask.h"

namespace ringmaster::cpu {
namespace {

// Elements whose random numbers are made at once: a loop without a condition, which the compiler
// vectorizes.
constexpr int64_t kBlock = 256;

void Draw(uint64_t seed, int64_t begin, int64_t count, float* __restrict draws) {
  for (int64_t i = 0; i < count; ++i)
    draws[i] = DropoutDraw(seed, static_cast<uint64_t>(begin + i));
}

}  // namespace

// data[i] = kept(seed, i) ? data[i] / (1 - rate) : 0; in place.
void Compute(const DropoutCall& call) {
  const __m256 rate = _mm256_set1_ps(call.rate), kept_share = _mm256_set1_ps(1.0f - call.rate);
  const auto drop = [=](__m256 value, __m256 draw) {
    return _mm256_and_ps(value / kept_share, _mm256_cmp_ps(draw, rate, _CMP_GE_OQ));
  };
  alignas(32) float draws[kBlock];
  for (int64_t begin = 0; begin < call.count; begin += kBlock) {
    const int64_t count = std::min(kBlock, call.count - begin);
    Draw(call.seed, begin, count, draws);
    Map(count, call.data + begin, drop, call.data + begin, draws);
  }
}

}  // namespace ringmaster::cpu
