#ifndef RINGMASTER_WORKER_KERNELS_CPU_COPY_ROW_H_
#define RINGMASTER_WORKER_KERNELS_CPU_COPY_ROW_H_

#include <immintrin.h>

#include <cstdint>

namespace ringmaster::cpu {

// to[i] = from[i] for i < count, inline: rows of an image are a few vectors long, and a call of
// memcpy costs more than they do. The last vector overlaps what is already copied.
inline void CopyRow(const float* from, float* to, int64_t count) {
  if (count >= 8) {
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) _mm256_storeu_ps(to + i, _mm256_loadu_ps(from + i));
    if (i < count) _mm256_storeu_ps(to + count - 8, _mm256_loadu_ps(from + count - 8));
  } else if (count >= 4) {
    const __m128 head = _mm_loadu_ps(from);
    const __m128 tail = _mm_loadu_ps(from + count - 4);
    _mm_storeu_ps(to, head);
    _mm_storeu_ps(to + count - 4, tail);
  } else {
    if (count > 0) to[0] = from[0];
    if (count > 1) to[1] = from[1];
    if (count > 2) to[2] = from[2];
  }
}

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_COPY_ROW_H_
