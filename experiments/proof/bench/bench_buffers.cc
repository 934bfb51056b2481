#include "experiments/proof/bench/bench_buffers.h"

#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace ringmaster {

std::string BenchBuffers::text() const {
  return absl::StrCat(state, unaligned ? ", 4 bytes off a cache line" : "");
}

void TakeOutOfCaches(absl::Span<const float> floats) {
  if (floats.empty()) return;
  constexpr uintptr_t kLine = 64;
  const auto begin = reinterpret_cast<uintptr_t>(floats.data()) / kLine * kLine;
  const auto end = reinterpret_cast<uintptr_t>(floats.data() + floats.size());
  for (uintptr_t line = begin; line < end; line += kLine)
    _mm_clflush(reinterpret_cast<const void*>(line));
  _mm_mfence();
}

}  // namespace ringmaster
