#include "common/codec/low_rank/low_rank_loops.h"

namespace ringmaster {

// In low_rank_loops_avx512.cc, whose code only a machine that has the instructions may run: the
// question is asked here.
extern const LowRankLoops kAvx512LowRankLoops;

const LowRankLoops* Avx512LowRankLoops() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return supported ? &kAvx512LowRankLoops : nullptr;
}

const LowRankLoops& BestLowRankLoops() {
  const LowRankLoops* const widest = Avx512LowRankLoops();
  return widest != nullptr ? *widest : Avx2LowRankLoops();
}

}  // namespace ringmaster
