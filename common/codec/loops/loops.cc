#include "common/codec/loops/loops.h"

namespace ringmaster {

// In loops_avx512.cc, whose code only a machine that has the instructions may run: the question is
// asked here.
extern const CodecLoops kAvx512Loops;

const CodecLoops* Avx512Loops() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return supported ? &kAvx512Loops : nullptr;
}

const CodecLoops& BestLoops() {
  const CodecLoops* const widest = Avx512Loops();
  return widest != nullptr ? *widest : Avx2Loops();
}

}  // namespace ringmaster
