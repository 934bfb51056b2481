#include "worker/kernels/cpu/loops/loops.h"

#include <vector>

namespace ringmaster::cpu {

// In loops_avx512.cc, whose code only a machine that has the instructions may run: the question is
// asked here.
extern const Loops kAvx512Loops;

const Loops* Avx512Loops() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return supported ? &kAvx512Loops : nullptr;
}

float* LoopScratch(int64_t floats) {
  constexpr int64_t kAlignment = 16;
  thread_local std::vector<float> scratch;
  if (static_cast<int64_t>(scratch.size()) < floats + kAlignment)
    scratch.resize(static_cast<size_t>(floats + kAlignment));
  const auto address = reinterpret_cast<uintptr_t>(scratch.data());
  return reinterpret_cast<float*>((address + 63) / 64 * 64);
}

}  // namespace ringmaster::cpu
