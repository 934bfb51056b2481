#include "common/codec/loops/level_loops_body.h"
#include "common/codec/loops/vectors_avx2.h"

namespace ringmaster {
namespace {

constexpr LevelLoops kLoops = LevelLoopsOf<Avx2>("avx2");

}  // namespace

const LevelLoops& Avx2LevelLoops() { return kLoops; }

}  // namespace ringmaster
