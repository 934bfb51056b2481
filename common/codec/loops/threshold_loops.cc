#include "common/codec/loops/threshold_loops.h"

#include "common/codec/loops/loops.h"

namespace ringmaster {

// In threshold_loops_avx512.cc, whose code only a machine that has the instructions may run.
extern const ThresholdLoops kAvx512ThresholdLoops;

const ThresholdLoops* Avx512ThresholdLoops() {
  return Avx512Loops() != nullptr ? &kAvx512ThresholdLoops : nullptr;
}

const ThresholdLoops& BestThresholdLoops() {
  const ThresholdLoops* const widest = Avx512ThresholdLoops();
  return widest != nullptr ? *widest : Avx2ThresholdLoops();
}

}  // namespace ringmaster
