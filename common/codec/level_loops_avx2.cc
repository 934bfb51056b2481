#include "common/codec/level_loops_body.h"

namespace ringmaster {
namespace {

constexpr LevelLoops kLoops = MakeLevelLoops("avx2");

}  // namespace

const LevelLoops& Avx2LevelLoops() { return kLoops; }

}  // namespace ringmaster
