#include "common/codec/loops/level_loops.h"

#include "common/codec/loops/loops.h"

namespace ringmaster {

// In level_loops_avx512.cc, whose code only a machine that has the instructions may run.
extern const LevelLoops kAvx512LevelLoops;

const LevelLoops* Avx512LevelLoops() {
  return Avx512Loops() != nullptr ? &kAvx512LevelLoops : nullptr;
}

const LevelLoops& BestLevelLoops() {
  const LevelLoops* const widest = Avx512LevelLoops();
  return widest != nullptr ? *widest : Avx2LevelLoops();
}

}  // namespace ringmaster
